"""PPO as the authors ran it: the clipped surrogate with the reference implementation's code-level optimisations."""

import dataclasses

from tfpg.config import Config, Ppo
from tfpg.settings import replace

from .base import SCALED_AND_CLIPPED, common
from .environments import row


def config(env: str) -> Config:
    """Advantages standardised over each minibatch, Adam annealed; no gradient clip, as in the authors' runs."""
    code_level = dataclasses.replace(SCALED_AND_CLIPPED, anneal=True)
    return replace(common("ppo", env, Ppo(), code_level), row("ppo", env))
