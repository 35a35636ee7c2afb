"""A value study with made-up numbers, labelled as launch.values stores them."""

import numpy as np
import xarray as xr

JUDGED, TARGETS, NETS = ["train", "heldout", "run", "before", "true"], ["gae", "returns"], ["before", "run", "true"]
FORMS, BASELINES, RATIOS = ["monte_carlo", "authors"], ["zero", "learned", "true"], ["learned/zero", "true/zero", "true/learned"]


def estimate(name, dims, values, spread=0.2):
    values = np.asarray(values, np.float64)
    fields = {"": values, "_stderr": spread * np.abs(values), "_low": values - spread * np.abs(values),
              "_high": values + spread * np.abs(values),
              "_count": np.full(values.shape, 10)}
    return {name + suffix: (dims, array) for suffix, array in fields.items()}


def study(*, iteration=300, sizes=(500, 1000, 2000, 5000), halves=0.95, preset="ppo", **attrs) -> xr.Dataset:
    draw = np.random.default_rng(iteration)
    cells, shape = ("form", "baseline", "size"), (2, 3, len(sizes))
    variables = {
        **estimate("mre", ("judged", "target"), 0.05 + 0.3 * draw.random((5, 2)) * [0.1, 1]),
        **estimate("explained_variance", ("judged", "target"), 0.2 + 0.6 * draw.random((5, 2))),
        **estimate("bias", ("judged", "target"), draw.normal(size=(5, 2))),
        **estimate("mre_excess", ("judged",), draw.random(5)),
        "floored_share": (("judged", "target"), np.full((5, 2), 0.01)),
        "target_rms": (("judged", "target"), np.full((5, 2), 2.6)),
        **estimate("check_explained_variance", ("net",), [0.4, 0.5, 0.6]),
        **estimate("variance", cells, np.exp(draw.normal(size=shape)) * np.array([1e4, 1e2, 90])[:, None]),
        **estimate("noise_scale", cells, 1e4 * np.exp(draw.normal(size=shape))),
        **estimate("cosine", cells, np.clip(0.3 * draw.random(shape), -1, 1)),
        **estimate("cosine_reference", cells, np.clip(0.6 * draw.random(shape), -1, 1)),
        **estimate("variance_ratio", ("form", "ratio", "size"), 0.1 + draw.random(shape)),
        "reference_split_half": (("form", "baseline"), np.full((2, 3), halves)),
        "reference_norm": (("form", "baseline"), np.ones((2, 3))),
        "fit_loss": (("epoch",), np.ones(4)), "fit_check_loss": (("epoch",), np.ones(4))}
    coordinates = {"judged": JUDGED, "target": TARGETS, "net": NETS, "epoch": np.arange(1, 5), "form": FORMS,
                   "baseline": BASELINES, "ratio": RATIOS, "size": list(sizes)}
    return xr.Dataset(variables, coordinates, {
        "instrument": "values", "task": "Hopper-v5", "preset": preset, "run_seed": 0, "iteration": iteration, "repeats": 16,
        "update_pairs": 2048, "heldout_pairs": 32_768, "fit_pairs": 500_000, "fitted_pairs": 450_000, "fit_episodes": 600,
        "fit_best_epoch": 3, "estimates": 10, "reference_pairs": 500_000, "parameters": 5126, **attrs})
