"""Figures of trust regions: what is drawn where, and what stands below."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from tfpg.report import figures, trust_regions

K = 6


def summary(groups=(("Hopper-v5", "trpo", 3), ("Hopper-v5", "ppo", 1)), *, heldout=True, window=1, band=(0.05, 250),
            held=None):
    """What diagnostics.trust_regions.over_agents.over_seeds gives; the band of a group of one is unknown."""
    shape = (len(groups), K, 2)
    known = np.array([[[True, heldout]] * K] * len(groups))
    many = np.array([count > 1 for *_, count in groups])[:, None, None]
    variables = {}
    for name, value in (("mean_return", 100.0), ("mean_kl", 0.01), ("max_ratio", 3.0)):
        mean = np.where(known, value, np.nan)
        ends = (np.where(many, factor * mean, np.nan) for factor in band)
        for suffix, values in zip(("", "_low", "_high"), (mean, *ends), strict=True):
            variables[name + suffix] = (("group", "iteration", "pool"), np.broadcast_to(values, shape))
        variables[f"{name}_count"] = (("group", "iteration", "pool"), np.where(np.isfinite(mean), held or 9, 0)
                                      * np.ones(shape, int))
        factors = np.linspace(0.8, 1.2, 5)[None, :, None, None]  # five agents at most are laid down
        alone = np.arange(5)[None, :, None, None] < np.array([count for *_, count in groups])[:, None, None, None]
        variables[f"{name}_agents"] = (("group", "agent", "iteration", "pool"),
                                       np.where(alone, factors * np.broadcast_to(mean, shape)[:, None], np.nan))
    steps = np.broadcast_to(2048.0 * (2 + np.arange(K)), shape[:2])
    delta = np.array([[0.13 if preset == "trpo" else np.nan] * K for _, preset, _ in groups])
    ratio = np.array([[np.nan if preset == "trpo" else 1.2] * K for _, preset, _ in groups])
    variables |= {"env_steps": (("group", "iteration"), steps), "delta": (("group", "iteration"), delta),
                  "ratio_high": (("group", "iteration"), ratio)}
    tasks, presets, counts = zip(*groups, strict=True)
    coordinates = {"iteration": np.arange(K), "pool": ["train", "heldout"], "task": ("group", list(tasks)),
                   "preset": ("group", list(presets)), "agents": ("group", list(counts)),
                   "reference_delta": ("group", [0.13] * len(groups))}
    attrs = {"intervals": "95 %, of agents", "pairs_train": "2048", "pairs_heldout": "2048" if heldout else "", "window": window,
             "unmoved": 0, "infinite": 0}
    return xr.Dataset(variables, coordinates, attrs)


def run(preset, **changes):
    """What diagnostics.trust_regions.of_runs.dataset gives of a run."""
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


def caption(found):
    return " ".join(trust_regions.over_seeds(found).legends[0].get_title().get_text().split())


def test_two_columns_a_task_and_a_row_a_number():
    figure = trust_regions.over_seeds(summary((("Hopper-v5", "trpo", 1), ("Walker2d-v5", "trpo", 1))))
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == [
        f"{task}, {words}" for task in ("Hopper-v5", "Walker2d-v5") for words in ("on the update's own pairs", "on held-out pairs")]
    assert len(figure.axes) == 12
    assert [axes.get_ylabel() != "" for axes in figure.axes] == [True, False, False, False] * 3
    assert figures.png(figure)[:4] == b"\x89PNG"
    assert len(trust_regions.over_seeds(summary(heldout=False)).axes) == 3


def test_an_algorithm_has_its_colour_and_single_iterations_are_dots():
    own, held = trust_regions.over_seeds(summary((("Hopper-v5", "trpo", 1), ("Hopper-v5", "ppo", 1)))).axes[:2]
    for axes, marker in ((own, "None"), (held, "o")):
        assert [to_hex(line.get_color()).upper() for line in axes.lines] == [figures.PALETTE["trpo"], figures.PALETTE["ppo"]]
        assert [line.get_marker() for line in axes.lines] == [marker] * 2


@pytest.mark.parametrize(("agents", "lines"), [(1, 1), (2, 3), (4, 5), (5, 1)])
def test_fewer_than_five_agents_are_also_drawn_one_by_one(agents, lines):
    axes = trust_regions.over_seeds(summary((("Hopper-v5", "ppo", agents),))).axes[0]
    assert len(axes.lines) == lines
    assert ("thin: each agent" in caption(summary((("Hopper-v5", "ppo", agents),)))) == (lines > 1)


def test_bands_are_of_several_agents_and_do_not_set_the_limits():
    figure = trust_regions.over_seeds(summary())  # bands from 1/20 of the mean to 250 times as much
    assert [len(axes.collections) for axes in figure.axes] == [1] * 6  # trpo alone
    returns, kl, ratio = (axes.get_ylim() for axes in figure.axes[::2])
    # lines: the means 100, .01, 3 and agents from .8 to 1 times as much; bounds: .13, 1.2
    assert 75 < returns[0] < 80 and 100 < returns[1] < 105
    assert 0.003 < kl[0] < 0.01 and 0.13 < kl[1] < 0.2
    assert ratio[0] == 1 and 3 < ratio[1] < 4
    assert [axes.get_ylim() for axes in figure.axes[1::2]] == [returns, kl, ratio]
    assert figure.axes[2].get_yscale() == figure.axes[4].get_yscale() == "log"
    assert "bands are cut off there" in caption(summary())


def test_bounds_are_dotted():
    def drawn(axes):
        return dotted(axes[2]), dotted(axes[3]), dotted(axes[4])

    assert drawn(trust_regions.over_seeds(summary()).axes) == ([0.13], [0.13], [1.2])
    # without TRPO beside it PPO is held against the δ that TRPO has on the task; without PPO the ratio against the usual bound
    assert drawn(trust_regions.over_seeds(summary((("Hopper-v5", "ppo", 1),))).axes) == ([0.13], [0.13], [1.2])
    assert drawn(trust_regions.over_seeds(summary((("Hopper-v5", "trpo", 1),))).axes) == ([0.13], [0.13], [1.2])


def test_the_caption_tells_agents_pairs_and_what_the_bands_are():
    for words in ("TRPO on Hopper-v5: 3 agents (1 held-out)", "PPO on Hopper-v5: 1 agent", "2048 pairs an update, 2048 held-out",
                  "95 %, of agents"):
        assert words in caption(summary(held=1))
    assert "do not compare" not in caption(summary()) and "3 agents, " not in caption(summary(held=1))


def test_the_caption_tells_how_each_pool_is_smoothed():
    said = caption(summary(window=10))
    assert "own pairs: running means of the last 10 iterations (KL and ratio: geometric)" in said
    assert "held-out pairs: a dot is one iteration, not smoothed" in said
    assert "held-out" not in caption(summary(heldout=False, window=10)) and "running" not in caption(summary())


@pytest.mark.parametrize("sizes", [{"pairs_heldout": "512"}, {"pairs_train": "1024, 2048", "pairs_heldout": ""}])
def test_largest_ratios_of_unequal_numbers_of_pairs_are_said_not_to_compare(sizes):
    assert "unequal numbers of pairs do not compare" in caption(summary().assign_attrs(sizes))


def test_what_is_not_drawn_is_told():
    found = summary().assign_attrs(unmoved=2, infinite=1)
    found["max_ratio"] = found["max_ratio"].copy(data=np.where(np.arange(K)[:, None] == 1, np.inf, found["max_ratio"].values))
    assert np.isfinite(trust_regions.over_seeds(found).axes[4].get_ylim()).all()
    assert "2 updates that did not move" in caption(found) and "1 largest ratios are infinite" in caption(found)
