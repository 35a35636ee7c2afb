"""Made-up landscapes of the stored schema, in which every number is known; and what can be read off a figure."""

import numpy as np
import xarray as xr
from matplotlib.text import Text

UPDATES = (2048, 100_000)
NORMALISATION = "advantages normalised over the pairs shown and frozen (PPO normalised them each minibatch by itself)"
ATTRS = {
    "instrument": "landscape", "policy": "policies/000150", "task": "Hopper-v5", "algorithm": "ppo", "preset": "ppo",
    "run_seed": 0, "iteration": 150, "env_steps": 309_248, "normaliser_sha256": "ab" * 32, "norm": "paper",
    "noise": "common", "seed": 7, "episodes": 34, "nominal_pairs": 20_000, "pilot_mean_length": 500.0, "few_episodes": 0, "confidence": 0.95}


def hill(x, y, *, base=1200.0, height=600.0, centre=(1.0, 0.0), width=1.6):
    """A hill, by default with its top at the full step."""
    return base + height * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / width**2)


def returns(function=hill, *, xs=None, ys=None, updates=UPDATES[:1], kinds=("stored",), stderr=35.0, unknown=(), seed=0,
            **attrs) -> xr.Dataset:
    """The true return: function(x, y) and noise of that standard error; `unknown` points (update, i, j) hold a 0."""
    xs, ys, x, y = _grid(xs, ys)
    rng, shape = np.random.default_rng(seed), (len(updates), *x.shape)
    mean = function(x, y) + stderr * rng.standard_normal(shape)
    error = stderr * rng.uniform(0.7, 1.3, shape)
    origin = mean[:, np.argmin(np.abs(xs)), np.argmin(np.abs(ys))][:, None, None]
    dims, data = ("update", "x", "y"), {}
    for name, value, spread in (("mean_return", mean, error), ("gain", mean - origin, 1.1 * error)):
        data |= _estimate(name, dims, value, spread) | {f"{name}_count": (dims, np.full(shape, 34))}
    data["pairs"] = (dims, np.round(34 * 500 * rng.uniform(0.4, 1.6, shape)))
    done = np.ones(shape, np.int8)
    for place in unknown:
        done[place] = 0
    data = {name: (found, np.where(done == 1, value, 0.0)) for name, (found, value) in data.items()}
    data["done"] = (dims, done)
    return _described(xr.Dataset(data, {"x": xs, "y": ys}), updates, kinds, surface="return", **attrs)


def surrogates(*, xs=None, ys=None, updates=UPDATES[:1], kinds=("stored",), optimised="clipped", scale=1.0,
               **attrs) -> xr.Dataset:
    """A surrogate that rises along the step and falls along the random direction; 0 at the origin, on both pools."""
    xs, ys, x, y = _grid(xs, ys)
    clipped = 0.05 * x * np.exp(-x / 1.5) - 0.055 * np.abs(y) ** 1.2
    unclipped = 0.06 * x * np.exp(-0.4 * np.abs(y)) + 0.02 * np.sin(y)
    train, heldout = np.stack([clipped, unclipped]), np.stack([0.6 * clipped - 0.004 * x, 0.4 * unclipped])
    value = scale * np.stack([np.stack([train, heldout])] * len(updates))
    data = _estimate("surrogate", ("update", "pool", "objective", "x", "y"), value,
                     0.003 * np.hypot(x, y) * np.ones_like(value))
    data["surrogate_count"] = (("update", "pool"), np.array([[pairs, 20_480] for pairs in updates]))
    coordinates = {"x": xs, "y": ys, "pool": ["train", "heldout"], "objective": ["clipped", "unclipped"]}
    attrs = {"optimised": optimised, "epsilon": 0.2, "advantage_norm": NORMALISATION, **attrs}
    return _described(xr.Dataset(data, coordinates), updates, kinds, surface="surrogate", **attrs)


def concentrations(function=hill, *, xs=None, sizes=(2000, 6000, 20_000), spread=420.0, seed=0, **attrs) -> xr.Dataset:
    """One plane seen with few and with many episodes, each of 333 pairs, whose returns have that spread."""
    xs, ys, x, y = _grid(xs if xs is not None else np.linspace(0, 3, 21), None)
    rng, shape, count = np.random.default_rng(seed), (len(sizes), *x.shape), -(-np.asarray(sizes) // 333)
    error = (spread / np.sqrt(count))[:, None, None] * np.ones(shape)
    gaps = np.array([25.0, 75, 150, 300, 500])
    dims = ("size", "x", "y")
    data = {
        **_estimate("mean_return", dims, function(x, y) + error * rng.standard_normal(shape), error),
        **_estimate("ordering", ("size",), 1 - 0.45 / np.sqrt(count / 2), np.full(len(sizes), 0.015)),
        "ordering_by_gap": (("size", "gap"), 1 - 0.5 * np.exp(-gaps * np.sqrt(count)[:, None] / 600)),
        "mean_return_count": (("size",), count),
        "pairs": (dims, np.round(count[:, None, None] * 333 * rng.uniform(0.8, 1.2, shape))),
        "done": (dims[1:], np.ones(shape[1:], np.int8))}
    dataset = xr.Dataset(data, {"x": xs, "y": ys, "size": np.asarray(sizes), "gap": gaps})
    attrs = {"surface": "concentration", "noise": "independent", "step_norm": 0.18, "random_norm": 2.0, **attrs}
    return dataset.assign_attrs({**ATTRS, **attrs})


def slices(*, ts=None, directions=16, updates=UPDATES[:1], kinds=("stored",), slope=90.0, stderr=25.0, seed=0,
           with_update=True, **attrs) -> xr.Dataset:
    """The step with that slope, then random directions with slopes of spread 40; θ_k, played once, returns 1200."""
    ts = np.linspace(-1, 3, 13) if ts is None else np.asarray(ts, float)
    rng, zero = np.random.default_rng(seed), int(np.argmin(np.abs(ts)))
    slopes = 40 * rng.standard_normal((len(updates), 1 + directions))
    slopes[:, 0] = slope
    mean = 1200 + slopes[..., None] * ts - 30 * ts**2 + stderr * rng.standard_normal((*slopes.shape, len(ts)))
    mean[..., zero] = 1200
    error = np.full(mean.shape, stderr)
    dims, data = ("update", "direction", "t"), {}
    data |= _estimate("mean_return", dims, mean, error)
    data |= _estimate("gain", dims, mean - 1200, error * (np.arange(len(ts)) != zero))
    for name in ("slope", "at_one"):
        data |= _estimate(name, dims[:2], slopes, np.full(slopes.shape, 30.0))
    factor = np.array([[1.0, 1.2], [0.5, 0.6]])[None, :, :, None, None]
    factor = factor * np.ones((len(updates), 1, 1, 1 + directions, 1))
    dims = ("update", "pool", "objective", "direction", "t")
    data["surrogate"] = (dims, factor * 0.05 * ts * np.exp(-np.abs(ts) / 2))
    data["surrogate_stderr"] = (dims, factor * 0.006 * np.abs(ts))
    labels = ["step", *(f"random {i + 1}" for i in range(directions))]
    coordinates = {"t": ts, "label": ("direction", labels), "role": ("direction", ["step", *["random"] * directions]), "pool": ["train", "heldout"],
                   "objective": ["clipped", "unclipped"]}
    attrs = {"norm": "step", "optimised": "clipped", "advantage_norm": NORMALISATION, **attrs}
    found = _described(xr.Dataset(data, coordinates), updates, kinds, surface="slices", **attrs)
    return found if with_update else found.isel(update=0, drop=True)


def film(*, points=25, stderr=30.0, seed=0, **attrs) -> xr.Dataset:
    """From iteration 150 to 300 over a dip."""
    ts = np.linspace(0, 1, points)
    noise = stderr * np.random.default_rng(seed).standard_normal(points)
    mean = 1200 + 900 * ts**2 - 700 * np.sin(np.pi * ts) ** 2 + noise
    data = _estimate("mean_return", ("t",), mean, np.full(points, stderr)) | {"pairs": ("t", np.full(points, 17_000.0))}
    attrs = {"surface": "film", "to_iteration": 300, "action_difference": 0.0123, **attrs}
    return xr.Dataset(data, {"t": ts}).assign_attrs({**ATTRS, **attrs})


def updated(*, repeats=48, episodes=8, centre=1200.0, effect=-20.0, between=120.0, within=300.0, seed=0,
            **attrs) -> xr.Dataset:
    """Many updates from one centre, each with a mean of its own and episodes around it."""
    rng = np.random.default_rng(seed)
    means = centre + effect + between * rng.standard_normal((repeats, 1))
    played = means + within * rng.standard_normal((repeats, episodes))
    gains = played.mean(1) - centre
    data = {"episode_return": (("repeat", "episode"), played)}
    data |= _estimate("gain", ("repeat",), gains, played.std(1, ddof=1) / np.sqrt(episodes))
    summary = {
        "centre_return": centre, "centre_return_low": centre - 40, "centre_return_high": centre + 40,
        "mean_gain": gains.mean(), "mean_gain_low": gains.mean() - 35, "mean_gain_high": gains.mean() + 35,
        "cvar": np.sort(gains)[:repeats // 10].mean(), "cvar_level": 0.1, "drop_probability": np.mean(gains < 0),
        "drop_probability_low": 0.4, "drop_probability_high": 0.7,
        "variance_between": between**2, "variance_within": within**2 / episodes}
    return xr.Dataset(data).assign_attrs({**ATTRS, "surface": "updates", **summary, **attrs})


def words(figure) -> str:
    """Every text of a figure, in one line."""
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def flat(figure) -> list:
    """The heat maps, in order."""
    return [axes for axes in figure.get_axes() if axes.name != "3d" and axes.collections
            and axes.get_box_aspect() == 1]


def solid(figure) -> list:
    """The panels in three dimensions, in order."""
    return [axes for axes in figure.get_axes() if axes.name == "3d"]


def labelled(axes, label):
    """The lines of that label."""
    return [line for line in axes.get_lines() if line.get_label() == label]


def _grid(xs, ys):
    xs = np.linspace(0, 3, 9) if xs is None else np.asarray(xs, float)
    ys = xs if ys is None else np.asarray(ys, float)
    return xs, ys, *np.meshgrid(xs, ys, indexing="ij")


def _estimate(name, dims, value, stderr):
    return {name: (dims, value), f"{name}_stderr": (dims, stderr), f"{name}_low": (dims, value - 1.96 * stderr),
            f"{name}_high": (dims, value + 1.96 * stderr)}


def _described(dataset, updates, kinds, **attrs):
    kinds = [*kinds, *["recomputed"] * (len(updates) - len(kinds))]
    norms = {"step_norm": np.linspace(0.18, 0.24, len(updates)), "random_norm": np.full(len(updates), 2.0)}
    dataset = dataset.assign({name: ("update", values) for name, values in norms.items()})
    dataset = dataset.assign_coords(update=np.asarray(updates), update_kind=("update", kinds))
    return dataset.assign_attrs({**ATTRS, **attrs})
