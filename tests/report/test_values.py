"""Figures of value studies: everything is drawn with its interval; what cannot be believed is said."""

import numpy as np
import pytest

from launch.instruments.values.numbers import report
from tests.report.studied import BASELINES, study
from tests.report.surfaces import film, labelled, words
from tfpg.errors import UserError
from tfpg.report import figures
from tfpg.report.values import by_iteration
from tfpg.report.values import study as draw


def test_predictions_stand_against_both_targets_with_their_intervals():
    dataset = study()
    axes = draw(dataset).get_axes()[0]
    assert axes.get_yscale() == "log" and axes.yaxis.get_transform().base == 2
    for target, words_ in (("gae", "its own target"), ("returns", "the return to the episode's end")):
        [line] = [each for each in axes.get_lines() if words_ in str(each.get_label())]
        np.testing.assert_array_equal(line.get_ydata(), dataset["mre"].sel(target=target))
    bars = [segment for collection in axes.collections for segment in collection.get_segments()]
    ends = {(round(each[0][1], 12), round(each[1][1], 12)) for each in bars}
    low, high = dataset["mre_low"].values.ravel(), dataset["mre_high"].values.ravel()
    assert ends == {(round(a, 12), round(b, 12)) for a, b in zip(low, high, strict=True)}


def test_every_baseline_is_drawn_at_every_size_in_both_forms():
    dataset = study()
    panels = draw(dataset).get_axes()[3:]
    assert len(panels) == 6
    for i, form in enumerate(("monte_carlo", "authors")):
        for axes, name in zip(panels[3 * i:3 * i + 3], ("variance", "cosine", "cosine_reference"), strict=True):
            for baseline, label in zip(BASELINES, ("no baseline", r"$V_{\phi_k}$", "V*"), strict=True):
                [line] = labelled(axes, label)
                np.testing.assert_array_equal(line.get_ydata(), dataset[name].sel(form=form, baseline=baseline))


def test_sample_sizes_are_said_and_a_reference_that_is_no_truth():
    sure, unsure = words(draw(study())), words(draw(study(halves=0.4)))
    for each in ("16 value updates repeated from 2,048 pairs", "500,000 other pairs", "32,768 held-out pairs"):
        assert each in sure
    assert "not called the truth" not in sure and "have cosine 0.40, below .9, are not called the truth" in unsure


@pytest.mark.parametrize(("form", "baseline", "used"), [
    ("monte_carlo", "zero", False), ("monte_carlo", "learned", False), ("monte_carlo", "true", True), ("authors", "zero", True)])
def test_a_reference_that_no_cosine_is_taken_with_is_not_warned_of(form, baseline, used):
    # of the first form all three are compared with V*'s
    dataset = study()
    dataset["reference_split_half"].loc[{"form": form, "baseline": baseline}] = -0.07
    assert ("not called the truth" in words(draw(dataset))) == used
    said = report(dataset)
    assert ("-0.070, below .9, so not called the truth" in said) == used
    assert said.count("its halves have cosine") == 1 + 3


def test_no_panels_title_passes_the_pictures_edge():
    dataset = study()
    dataset["check_explained_variance_count"][:] = 10_265
    figure = draw(dataset)
    figure.draw_without_rendering()
    for axes in figure.get_axes():
        box = axes.title.get_window_extent()
        assert box.x0 > 0.01 * figure.bbox.width and box.x1 < 0.99 * figure.bbox.width, axes.get_title()


def test_a_figure_without_cosines_to_a_reference_says_nothing_of_one():
    said = words(by_iteration([study(iteration=k, halves=0.4) for k in (0, 150)]))
    assert "reference" not in said and "10 estimates of each size" in said


def test_policies_of_one_run_are_joined_in_the_order_of_their_iterations():
    datasets = [study(iteration=k) for k in (300, 0, 150)]
    axes = by_iteration(datasets).get_axes()
    [line] = [each for each in axes[0].get_lines() if "the return to the episode's end, held-out" in str(each.get_label())]
    expected = [float(datasets[i]["mre"].sel(judged="heldout", target="returns")) for i in (1, 2, 0)]
    assert line.get_ydata().tolist() == expected and (np.diff(line.get_xdata()) > 0).all()
    assert len(axes) == 2 + 4 * 3


def test_runs_are_not_joined():
    with pytest.raises(UserError, match="is of one run"):
        by_iteration([study(), study(preset="trpo")])


def test_another_result_is_refused():
    with pytest.raises(UserError, match="no value result"):
        draw(film())


@pytest.mark.parametrize("change", [{"sizes": (2000,)}, {"halves": np.nan}])
def test_small_and_unknown_studies_can_be_drawn(change):
    dataset = study(**change)
    dataset["variance"][:] = np.nan
    dataset["mre_low"][:] = np.nan
    for figure in (draw(dataset), by_iteration([dataset])):
        assert figures.png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("error", [0.0, np.nan])  # of a V that is right; relative to returns that are all 0
def test_errors_that_no_logarithmic_axis_can_show_leave_a_word_in_their_panel(error):
    dataset = study()
    for name in ("mre", "mre_low", "mre_high"):
        dataset[name][:] = error
    figure = draw(dataset)
    for _ in range(2):
        assert figures.png(figure).startswith(b"\x89PNG")  # matplotlib refuses a logarithmic axis without a positive number
    assert [text.get_text() for axes in figure.axes for text in axes.texts].count("nothing above 0") == 1
