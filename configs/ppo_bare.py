"""PPO with all nine code-level optimisations off: the wording of the article's "PPO-M", which its code did not run."""

from tfpg.config import CodeLevel, Config, Ppo
from tfpg.settings import replace

from .base import common
from .environments import row

ALL_OFF = CodeLevel(
    value_clip=None,
    reward_scaling="none",
    initialisation="xavier",
    anneal=False,
    reward_clip=None,
    observation_normalisation=False,
    observation_clip=None,
    activation="relu",
    gradient_clip=None,
)


def config(env: str) -> Config:
    """Differs: nobody published step sizes for this; those of PPO-M stand in."""
    return replace(common("ppo_bare", env, Ppo(), ALL_OFF), row("ppo_m", env))
