"""PPO-M as the authors released it: the clipped surrogate without the optimisations that can be left out.

Observation normalisation and tanh stay on, as in their code: that is what their table measures. The preset with all
nine off is ppo_bare."""

from tfpg.config import Config, Ppo
from tfpg.settings import replace

from .base import MINIMAL, common
from .environments import row


def config(env: str) -> Config:
    """Advantages standardised over each minibatch; step sizes from the task's row."""
    return replace(common("ppo_m", env, Ppo(), MINIMAL), row("ppo_m", env))
