"""PPO-NoClip: PPO's code-level optimisations without the clipping that gave PPO its name (Engstrom 2020)."""

import dataclasses

from tfpg.config import Config, Ppo
from tfpg.settings import replace

from .base import SCALED_AND_CLIPPED, common
from .environments import row


def config(env: str) -> Config:
    """clip_epsilon is none; the authors wrote ε = 1e32, which no ratio reaches. Tasks differ much: see the table."""
    code_level = dataclasses.replace(SCALED_AND_CLIPPED, anneal=True)
    return replace(common("ppo_noclip", env, Ppo(clip_epsilon=None), code_level), row("ppo_noclip", env))
