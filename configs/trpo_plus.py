"""TRPO+: TRPO with PPO's code-level optimisations (Engstrom 2020), as far as they apply to it."""

from tfpg.config import Config, Trpo
from tfpg.settings import replace

from .base import SCALED_AND_CLIPPED, common
from .environments import row


def config(env: str) -> Config:
    """δ goes linearly from trpo.delta to trpo.delta_final.

    Differs: in the authors' code the annealing of δ never took effect (its increment was written to the wrong object).
    --trpo.delta_final=none gives the constant δ of the runs "as executed": use it against their published table."""
    return replace(common("trpo_plus", env, Trpo(), SCALED_AND_CLIPPED), row("trpo_plus", env))
