"""Does everything go through? Three algorithms, one short run each, every instrument once: minutes on two cores, no result."""

from tfpg.study import Agents, Look

STUDY = Agents(
    tasks=["Hopper-v5"],
    algorithms=["trpo", "ppo", "ppo_m"],
    seeds=[0, 1, 2],
    settings={"total_steps": 12 * 2_048},
    looks=[
        Look("trust_region", scale="smoke", flags={"heldout_every": 4}),
        Look("steps", iterations=[0, 10], scale="smoke", flags={"spread": 4}),
        Look("landscape", iterations=[10], scale="smoke", flags={"sizes": "200,2000"}, seeds=[0], algorithms=["trpo", "ppo"]),
        Look("gradients", iterations=[10], scale="smoke", seeds=[0], algorithms=["trpo"]),
        Look("values", iterations=[10], scale="smoke", seeds=[0], algorithms=["ppo"]),
    ],
)
