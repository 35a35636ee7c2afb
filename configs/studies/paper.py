"""The published study: 80 agents of each algorithm on three tasks, every instrument as published, and the 2^4 ablation. A cluster's.

The ablation is that of the first part: value clipping, reward scaling, initialisation and annealing on and off, the policy's step size
tuned in each cell over four values with five seeds each."""

import itertools

from tfpg.study import Agents, Look

TASKS = ["Hopper-v5", "Walker2d-v5", "Humanoid-v5"]
CHECKPOINTS = [0, 150, 300, 450]
TOGGLES = {
    "clip": ("code_level.value_clip", 0.2, None),
    "scale": ("code_level.reward_scaling", "returns", "none"),
    "orth": ("code_level.initialisation", "orthogonal", "xavier"),
    "anneal": ("code_level.anneal", True, False),
}
STEP_SIZES = [1e-5, 8e-5, 1.5e-4, 2.2e-4]


def ablation():
    """Every cell of the factorial with every step size, by name: clip1-scale0-orth0-anneal1-1.5e-04."""
    for switches in itertools.product([True, False], repeat=len(TOGGLES)):
        cell = "-".join(f"{name}{int(on)}" for name, on in zip(TOGGLES, switches, strict=True))
        settings = {name: on if switch else off for switch, (name, on, off) in zip(switches, TOGGLES.values(), strict=True)}
        if settings["code_level.reward_scaling"] == "none":
            settings["code_level.reward_clip"] = None  # clips scaled rewards alone
        for step_size in STEP_SIZES:
            yield f"{cell}-{step_size:.1e}", {**settings, "ppo.step_size": step_size}


STUDY = (
    Agents(
        tasks=TASKS,
        algorithms=["trpo", "trpo_plus", "ppo", "ppo_m", "ppo_noclip"],
        seeds=range(80),
        looks=[
            Look("trust_region", scale="paper", algorithms=["trpo", "ppo", "ppo_m"], seeds=range(20)),
            Look("steps", iterations=CHECKPOINTS, scale="paper", algorithms=["trpo", "ppo", "ppo_m"], seeds=range(20)),
            Look("gradients", iterations=CHECKPOINTS, scale="paper", algorithms=["trpo", "ppo"], seeds=range(10)),
            Look("values", iterations=CHECKPOINTS, scale="paper", algorithms=["trpo", "ppo"], seeds=range(10)),
            Look("landscape", iterations=CHECKPOINTS, scale="paper", algorithms=["trpo", "ppo"], seeds=range(3)),
        ],
    ),
    Agents(tasks=["Walker2d-v5", "Humanoid-v5"], algorithms=["ppo"], seeds=range(5), variants=dict(ablation())),
)
