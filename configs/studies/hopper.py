"""The seed study on Hopper, small: five agents each of its three algorithms, every instrument; a night on two cores."""

from tfpg.study import Agents, Look

CHECKPOINTS = [0, 150, 300, 450]

STUDY = Agents(
    tasks=["Hopper-v5"],
    algorithms=["trpo", "ppo", "ppo_m"],
    seeds=range(5),
    looks=[
        Look("trust_region", scale="small"),
        Look("steps", iterations=CHECKPOINTS, scale="small"),
        Look("gradients", iterations=CHECKPOINTS, scale="small", seeds=[0]),
        Look("values", iterations=CHECKPOINTS, scale="small", seeds=[0]),
        Look("landscape", iterations=CHECKPOINTS, scale="small", seeds=[0], algorithms=["trpo", "ppo"]),
    ],
)
