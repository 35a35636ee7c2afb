"""What changes by plan while training goes on? Step sizes and δ as functions of the iteration k of K."""

from __future__ import annotations

from tfpg.config import Config, Ppo, Trpo


def schedule(config: Config, k: int) -> dict[str, float]:
    """The step sizes, or δ, in force at iteration k = 0 … K − 1.

        Adam step size   α_k = α (1 − k/K)                with code_level.anneal, policy's and value net's alike
        δ                δ_k = δ + (δ_final − δ) k/(K−1)   with trpo.delta_final

    Differs: in the authors' code δ stayed constant (the increment was written to the wrong object);
    trpo.delta_final = none is that."""
    remaining = 1 - k / config.num_iterations if config.code_level.anneal else 1.0
    values = {"value_step_size": config.value.step_size * remaining}
    match config.algorithm:
        case Trpo(delta=delta, delta_final=final):
            done = k / max(config.num_iterations - 1, 1)
            values["delta"] = delta if final is None else delta + (final - delta) * done
        case Ppo(step_size=step_size):
            values["policy_step_size"] = step_size * remaining
    return values
