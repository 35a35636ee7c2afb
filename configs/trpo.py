"""TRPO as the authors ran it: the method alone, no code-level optimisation but observation normalisation and tanh."""

from tfpg.config import Config, Trpo
from tfpg.settings import replace

from .base import MINIMAL, common
from .environments import row


def config(env: str) -> Config:
    """Advantages standardised over the batch; δ and the value step size from the task's row."""
    return replace(common("trpo", env, Trpo(), MINIMAL), row("trpo", env))
