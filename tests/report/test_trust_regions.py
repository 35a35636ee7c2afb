"""Figures of trust regions: what is drawn where, and what stands below."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from tfpg.report import figures, trust_regions

K = 6


def summary(groups=(("Hopper-v5", "trpo", 3), ("Hopper-v5", "ppo", 1)), *, heldout=True, window=1):
    """What diagnostics.trust_region_seeds.over_seeds gives; the band of a group of one is unknown."""
    shape = (len(groups), K, 2)
    known = np.array([[[True, heldout]] * K] * len(groups))
    many = np.array([count > 1 for *_, count in groups])[:, None, None]
    variables = {}
    for name, value in (("mean_return", 100.0), ("mean_kl", 0.01), ("max_ratio", 3.0)):
        mean = np.where(known, value, np.nan)
        ends = (np.where(many, factor * mean, np.nan) for factor in (-0.5, 2.5))
        for suffix, values in zip(("", "_low", "_high"), (mean, *ends), strict=True):
            variables[name + suffix] = (("group", "iteration", "pool"), np.broadcast_to(values, shape))
    steps = np.broadcast_to(2048.0 * (2 + np.arange(K)), shape[:2])
    delta = np.array([[0.13 if preset == "trpo" else np.nan] * K for _, preset, _ in groups])
    ratio = np.array([[np.nan if preset == "trpo" else 1.2] * K for _, preset, _ in groups])
    variables |= {"env_steps": (("group", "iteration"), steps), "delta": (("group", "iteration"), delta),
                  "ratio_high": (("group", "iteration"), ratio)}
    tasks, presets, counts = zip(*groups, strict=True)
    coordinates = {"iteration": np.arange(K), "pool": ["train", "heldout"], "task": ("group", list(tasks)),
                   "preset": ("group", list(presets)), "agents": ("group", list(counts)),
                   "reference_delta": ("group", [0.13] * len(groups))}
    attrs = {"intervals": "95 %, of agents", "pairs_train": "2048", "pairs_heldout": "2048" if heldout else "", "window": window}
    return xr.Dataset(variables, coordinates, attrs)


def run(preset, **changes):
    """What diagnostics.trust_region_runs.dataset gives of a run."""
    pools = ("iteration", "pool"), np.tile([0.01, np.nan], (K, 1))
    variables = {name: pools for name in ("mean_kl", "outside_fraction", "without_gradient")}
    variables["pairs"] = ("iteration", "pool"), np.tile([2048, 0], (K, 1))
    if preset == "ppo":
        curves = ("iteration", "epoch"), np.linspace(0.001, 0.01, 10 * K).reshape(K, 10)
        variables |= {"epoch_mean_kl": curves, "epoch_max_ratio": (curves[0], 1 + 100 * curves[1]),
                      "ratio_high": ("iteration", [1.2] * K)}
    else:
        for name in ("predicted_kl", "fisher_kl", "expected_gain", "actual_gain", "accepted_fraction"):
            variables[name] = "iteration", np.linspace(0.1, 0.5, K)
    coordinates = {"iteration": np.arange(K), "pool": ["train", "heldout"],
                   **({"epoch": np.arange(1, 11)} if preset == "ppo" else {})}
    return xr.Dataset({**variables, **changes}, coordinates, {"preset": preset, "task": "Hopper-v5", "run_seed": 0})


def dotted(axes):
    """Heights of the dotted lines."""
    return sorted({float(np.ravel(line.get_ydata())[0]) for line in axes.lines if line._unscaled_dash_pattern[1] == (1, 2)})


def test_a_column_a_task_and_a_row_a_number():
    figure = trust_regions.over_seeds(summary((("Hopper-v5", "trpo", 1), ("Walker2d-v5", "trpo", 1))))
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["Hopper-v5", "Walker2d-v5"]
    assert len(figure.axes) == 6
    assert [figure.axes[i].get_ylabel() != "" for i in range(6)] == [True, False] * 3
    assert figures.png(figure)[:4] == b"\x89PNG"


def test_an_algorithm_has_its_colour_and_held_out_pairs_a_line_of_their_own():
    axes = trust_regions.over_seeds(summary()).axes[0]
    drawn = [(to_hex(line.get_color()).upper(), line.get_linestyle()) for line in axes.lines]
    assert [colour for colour, _ in drawn] == [figures.PALETTE["trpo"]] * 2 + [figures.PALETTE["ppo"]] * 2
    assert [line for _, line in drawn] == ["-", "--"] * 2
    assert len(trust_regions.over_seeds(summary(heldout=False)).axes[0].lines) == 2


def test_bands_are_of_several_agents_and_stay_on_a_log_axis():
    figure = trust_regions.over_seeds(summary())
    assert [len(axes.collections) for axes in figure.axes] == [2, 2, 2]  # trpo alone, two pools
    assert figure.axes[1].get_yscale() == figure.axes[2].get_yscale() == "log"
    lowest = min(path.vertices[:, 1].min() for path in figure.axes[1].collections[0].get_paths())
    assert lowest > 0


def test_bounds_are_dotted():
    _, kl, ratio = trust_regions.over_seeds(summary()).axes
    assert dotted(kl) == [0.13] and dotted(ratio) == [1.2]
    # without TRPO beside it PPO is held against the δ that TRPO has on the task; without PPO the ratio against the usual bound
    assert dotted(trust_regions.over_seeds(summary((("Hopper-v5", "ppo", 1),))).axes[1]) == [0.13]
    assert dotted(trust_regions.over_seeds(summary((("Hopper-v5", "trpo", 1),))).axes[2]) == [1.2]


def test_the_caption_tells_agents_pairs_and_what_the_bands_are():
    caption = " ".join(trust_regions.over_seeds(summary(window=10)).legends[0].get_title().get_text().split())
    for words in ("trpo on Hopper-v5: 3 agents", "ppo on Hopper-v5: 1 agent", "2048 pairs an update, 2048 held-out", "95 %, of agents",
                  "running means of 10 iterations"):
        assert words in caption
    assert "do not compare" not in caption
    unequal = summary().assign_attrs(pairs_heldout="512")
    assert "unequal numbers of pairs" in " ".join(trust_regions.over_seeds(unequal).legends[0].get_title().get_text().split())


@pytest.mark.parametrize(("preset", "titles"), [
    ("ppo", ["Mean KL after epochs", "Largest ratio after epochs (1 + ε dotted)"]),
    ("trpo", ["KL: the quadratic model's against the real one", "Gain of the surrogate: promised against real"])])
def test_the_inside_of_a_run_is_that_of_its_algorithm(preset, titles):
    figure = trust_regions.inside(run(preset))
    assert [axes.get_title() for axes in figure.axes[:2]] == titles
    assert "6 iterations of 2,048 pairs" in figure.get_suptitle()
    assert len(figure.axes[3].lines) == 1
    shifted = trust_regions.inside(run(preset, normaliser_mean_kl=("iteration", np.full(K, 0.001))))
    assert len(shifted.axes[3].lines) == 2


def test_a_run_of_which_nothing_old_was_stored_is_drawn_all_the_same():
    nothing, still = np.full((K, 2), np.nan), np.zeros((K, 2))
    empty = run("trpo", without_gradient=(("iteration", "pool"), nothing), mean_kl=(("iteration", "pool"), still))
    assert figures.png(trust_regions.inside(empty))[:4] == b"\x89PNG"
