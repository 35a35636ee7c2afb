"""What did VecNormalize make of observations? Its statistics, from the pickle that Stable-Baselines3 saves them as.

    z = clip((s − mean) / √(var + epsilon), ± clip_obs),      in float64, as there"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfpg import storage
from tfpg.errors import UserError
from tfpg.importing import arrays, pickles
from tfpg.importing.pickles import Damaged, Global, Made
from tfpg.importing.stable_baselines import LARGEST

_KIND = Global("stable_baselines3.common.vec_env.vec_normalize", "VecNormalize")
ALLOWED = arrays.NUMPY | {
    _KIND, Global("stable_baselines3.common.running_mean_std", "RunningMeanStd"), Global("collections", "OrderedDict"),
    *(Global(f"gymnasium.spaces.{module}", name) for module, name in (
        ("box", "Box"), ("discrete", "Discrete"), ("multi_discrete", "MultiDiscrete"), ("multi_binary", "MultiBinary"), ("dict", "Dict"))),
    # A space that was sampled from holds its generator.
    *(Global("numpy.random._pickle", name) for name in ("__generator_ctor", "__bit_generator_ctor")),
    Global("numpy.random._pcg64", "PCG64"),
    *(Global("numpy.random.bit_generator", name) for name in ("SeedSequence", "__pyx_unpickle_SeedSequence"))}


class Statistics(NamedTuple):
    """Of observations; float64. Where they were not normalised: mean 0, var 1, epsilon 0, clip ∞."""

    mean: np.ndarray  # [S]
    var: np.ndarray  # [S]
    epsilon: float
    clip: float


def identity(size: int) -> Statistics:
    """z = s. Args: size: S."""
    return Statistics(np.zeros(size), np.ones(size), 0.0, np.inf)


def read(path: Path, size: int) -> Statistics:
    """The statistics in a file by VecNormalize.save. Its pickle is read, never run.

    Args: size: S. Errors: UserError, one sentence: damaged, of other observations, or naming what no such file needs."""
    with storage.user_errors("read", path):
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} is not read: it has more than {LARGEST // 2**20} MB.")
        data = path.read_bytes()
    try:
        found = pickles.read(data, ALLOWED)
        if not isinstance(found, Made) or found.kind != _KIND:
            raise Damaged("it describes no VecNormalize")
        return _statistics(path, arrays.state(found), size)
    except UserError as error:
        raise error if str(error).startswith(str(path)) else UserError(f"{path} is not read: {error}.") from None
    except Exception as error:  # whatever a flipped bit made of an attribute
        raise UserError(f"{path} is damaged, or no file of VecNormalize ({storage.short(error)}).") from error


def _statistics(path: Path, state: Any, size: int) -> Statistics:
    if state["norm_obs"] is False:
        return identity(size)
    if state["norm_obs"] is not True:
        raise Damaged("it does not say whether it normalises observations")
    if not isinstance(state["obs_rms"], Made):
        raise UserError(f"{path} has statistics of dictionaries: only flat observations can be represented.")
    moments = arrays.state(state["obs_rms"])
    mean, var = (arrays.numpy_array(moments[name]).astype(np.float64) for name in ("mean", "var"))
    epsilon, clip = (float(arrays.numpy_array(state[name])) for name in ("epsilon", "clip_obs"))
    if mean.shape != (size,) or var.shape != (size,):
        raise UserError(f"{path} has statistics of observations of shape {list(mean.shape)}, but the policy sees {size} numbers.")
    if not (np.isfinite(mean).all() and np.isfinite(var).all() and (var + epsilon > 0).all() and clip > 0 and epsilon >= 0):
        raise Damaged("its statistics are no means, variances above 0 and a clip")
    return Statistics(mean, var, epsilon, clip)
