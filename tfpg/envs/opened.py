"""How is a Gymnasium task opened? Everywhere in the same way, so that what is filmed is what was learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def opened(env_id: str, env_args: Mapping[str, Any], **options: Any) -> Any:
    """The environment. Dictionaries of vectors and numbers, which goal tasks and dm_control's show, become one vector, in the order of
    the space. Args: options: of gymnasium.make."""
    import gymnasium as gym

    env = gym.make(env_id, disable_env_checker=True, **options, **dict(env_args))
    return gym.wrappers.FlattenObservation(env) if _is_vectors(env.observation_space) else env


def _is_vectors(space: Any) -> bool:
    from gymnasium.spaces import Box, Dict

    return isinstance(space, Dict) and all(isinstance(each, Box) and len(each.shape) <= 1 for each in space.values())
