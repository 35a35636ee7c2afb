"""launch.report: one page from what lies in runs; partial studies, damaged results and bad input are named."""

import json
import re
import urllib.parse

import pytest

from launch import report
from tests.launch import madeup
from tests.launch.grounds import command
from tests.report.page.test_rendering import Outline
from tfpg.diagnostics import results


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    directory = madeup.study(tmp_path_factory.mktemp("study"))
    code, out, err = command(report, str(directory))
    assert code == 0, err
    return directory, out


@pytest.fixture(scope="module")
def page(study):
    return (study[0] / "report" / "report.html").read_text()


def test_the_page_has_a_chapter_for_everything_that_was_found(page):
    titles = [re.sub("<.*?>", "", each) for each in re.findall("<h2.*?</h2>", page)]
    assert titles == ["Verdicts", "Learning curves and scores", "Trust regions", "Landscapes", "Gradient estimates", "Value prediction",
                      "Code-level optimisations", "Settings and versions", "What is missing"]
    assert "Study madeup" in page and "Nothing was trained for it." in page


def test_every_place_and_file_that_a_link_names_is_there(study, page):
    outline = Outline(page)
    for href in outline.hrefs:
        if href.startswith("#"):
            assert href[1:] in outline.ids, href
        else:
            assert (study[0] / "report" / urllib.parse.unquote(href)).is_file(), href
    assert len(set(outline.ids)) == len(outline.ids)
    assert any(href.endswith("slices.nc") for href in outline.hrefs)


def test_a_verdict_leads_to_its_figure_and_the_figure_to_its_data(page):
    card = page[page.index('id="C7"'):]
    assert 'href="#trust-regions-hopper-v5"' in card[:card.index("</article>")]
    figure = page[page.index('<figure id="trust-regions-hopper-v5"'):]
    assert 'href="data/trust-regions-hopper-v5.nc"' in figure[:figure.index("</figure>")]


def test_verdicts_of_several_algorithms_stand_under_each_other_each_in_its_colour(page):
    overview = page[page.index("All claims at a glance"):page.index('id="C1"')]
    lines = re.findall(r'<span class="line (\w+)">([^<]+)</span>', overview)
    words = {"holds": "holds", "does not hold": "fails", "undecided": "undecided"}
    assert len(lines) > 1
    for kind, line in lines:
        assert words[line.rpartition(": ")[2]] == kind


def test_no_two_links_of_a_verdict_read_the_same_and_lead_elsewhere(page):
    for judged in page[page.index('id="C1"'):].split('class="judged"')[1:]:
        links = re.findall(r'<a href="(#[^"]+)">([^<]+)</a>', judged[:judged.index("</article>")] if "</article>" in judged else judged)
        assert len({text for _, text in links}) == len(set(links)), links


def test_figures_lie_beside_the_page_for_papers_and_for_tensorboard(study):
    figures = study[0] / "report" / "figures"
    names = {path.stem for path in figures.glob("*.png")}
    assert names == {path.stem for path in figures.glob("*.pdf")}
    assert {"learning-curves", "final-scores", "trust-regions-hopper-v5", "ablation-ppo-hopper-v5-final"} <= names
    assert list((study[0] / "report" / "tensorboard" / "report").glob("events.out.tfevents.*"))


def test_a_linked_report_has_its_pictures_beside_it_and_nothing_twice(study, tmp_path, monkeypatch):
    from launch.reporting import chapters

    monkeypatch.setattr(chapters, "CHAPTERS", (chapters.scores,))  # the others draw in the same way
    code, out, err = command(report, str(study[0]), "--linked", f"--output={tmp_path}/small")
    assert code == 0 and "it shows figures/, which have to stay beside it" in out, err
    outline = Outline((tmp_path / "small" / "report.html").read_text())
    shown = [source for source in outline.sources if not source.startswith("data:")]
    assert {"figures/learning-curves.png", "figures/final-scores.png"} <= set(shown)
    assert sorted(path.name for path in (tmp_path / "small").glob("figures/*")) == sorted(source.removeprefix("figures/") for source in shown)
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == ["data", "figures", "report.html"]
    assert results.load(tmp_path / "small" / "data" / "scores.nc").equals(results.load(study[0] / "report" / "data" / "scores.nc"))


def test_what_is_missing_is_said(page):
    missing = page[page.index('id="missing"'):]
    assert "1 of the study&#39;s 1 jobs are not done: train.ppo_m-Hopper-v5-0" in missing
    assert "ppo_m-Hopper-v5-0 is not finished" in missing


def test_an_unfinished_run_has_its_curve_and_no_score(study):
    data = study[0] / "report" / "data"
    curves, scores = results.load(data / "learning-hopper-v5.nc"), results.load(data / "scores.nc")
    assert sorted(curves["preset"].values) == ["ppo", "ppo_m", "trpo"]
    assert sorted(scores["preset"].values) == ["ppo", "trpo"]
    # Finals: the last 5 of 30 iterations, 100 (1 + seed) + 10 k: mean over k = 25 … 29 is 100 (1 + seed) + 270; over seeds 0, 1, 2 470.
    assert scores["final_return"].values.tolist() == [470, 470]


def test_a_factorials_cell_that_is_the_preset_is_in_its_ablation_and_counts_once_as_an_agent(study):
    found = results.load(study[0] / "report" / "data" / "ablation-ppo-hopper-v5.nc")
    assert found.attrs["cells"] == 4 and found.attrs["agents"] == 8 and found.attrs["balanced"] == 1
    assert "6 runs" in study[1]


def test_verdicts_lie_beside_the_page_as_json(study):
    found = json.loads((study[0] / "report" / "data" / "claims.json").read_text())
    assert {each["claim"] for each in found["verdicts"]} >= {"C5", "C7", "C9"}
    assert "../runs/trpo-Hopper-v5-0" in found["runs"]


def test_no_path_of_the_machine_is_on_the_page(study, page):
    assert str(study[0]) not in page and "/tmp" not in re.sub("data:image[^\"]*", "", page[:page.index("<script>")])


def test_a_damaged_result_costs_its_own_figure_alone(tmp_path):
    made = madeup.run(tmp_path / "runs" / "ppo", looks=("landscapes", "gradients"))
    for name in ("landscapes/000150-small/return.nc", "gradients/000000-small/gradients.nc"):
        path = made.diagnostics / name
        path.write_bytes(path.read_bytes()[:2000])
    code, out, err = command(report, str(tmp_path), "--linked")
    assert code == 0, err
    assert "landscapes/000150-small/return.nc is damaged" in out and "gradients/000000-small/gradients.nc is damaged" in out
    assert "figures/slices-ppo-hopper-v5-0-150-small.png" in out


def test_a_single_run_has_a_report_too(tmp_path):
    madeup.run(tmp_path / "run", "trpo")
    code, out, err = command(report, str(tmp_path / "run"), "--title=One run")
    assert code == 0, err
    text = (tmp_path / "run" / "report" / "report.html").read_text()
    assert "<h1>One run</h1>" in text and "1 runs" in out
    assert len(text) < 1_000_000  # nothing to turn, so no library for it
    command(report, str(tmp_path / "run"), "--title=One run")
    assert (tmp_path / "run" / "report" / "report.html").read_text() == text  # the same results, the same page


@pytest.mark.parametrize(("arguments", "sentence"), [
    ([], "a report of what?"), (["nowhere"], "there is no directory nowhere"), (["--dri=x"], "there is no flag --dri")])
def test_bad_input_is_one_sentence(arguments, sentence):
    code, _, err = command(report, *arguments)
    assert code == 2
    assert sentence in err and len(err.strip().splitlines()) == 1
