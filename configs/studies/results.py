"""The study for real, as far as two cores go in a night: does the seed's finding hold on today's MuJoCo?

Fewer points than scale small, with smaller errors. Every look of one agent at one machine: bits differ between processors."""

import itertools

from tfpg.study import Agents, Look

CHECKPOINTS = [0, 150, 300, 450]
GROUND = {"points": 7, "sizes": "2000,6000,20000", "slice_points": 5, "slice_pairs": 28_000, "end_pairs": 300_000, "repeats": 48,
          "repeat_episodes": 8}
TOGGLES = {
    "clip": ("code_level.value_clip", 0.2, None),
    "scale": ("code_level.reward_scaling", "returns", "none"),
    "orth": ("code_level.initialisation", "orthogonal", "xavier"),
    "anneal": ("code_level.anneal", True, False),
}


def ablation():
    """Every cell of the factorial by name, clip1-scale0-orth0-anneal1, at the preset's step size."""
    for switches in itertools.product([True, False], repeat=len(TOGGLES)):
        settings = {name: on if switch else off for switch, (name, on, off) in zip(switches, TOGGLES.values(), strict=True)}
        if settings["code_level.reward_scaling"] == "none":
            settings["code_level.reward_clip"] = None  # clips scaled rewards alone
        yield "-".join(f"{name}{int(on)}" for name, on in zip(TOGGLES, switches, strict=True)), settings


STUDY = (
    Agents(
        tasks=["Hopper-v5"],
        algorithms=["trpo", "ppo", "ppo_m", "trpo_plus", "ppo_noclip"],
        seeds=range(5),
        looks=[
            Look("trust_region", scale="small"),
            Look("landscape", iterations=[0, 300, 150, 450], scale="small", flags=GROUND, algorithms=["trpo", "ppo", "ppo_m"], seeds=[0]),
            Look("gradients", iterations=CHECKPOINTS, scale="small", algorithms=["trpo", "ppo"], seeds=[0]),
            Look("values", iterations=CHECKPOINTS, scale="small", algorithms=["trpo", "ppo"], seeds=[0]),
            # Fewer than three agents decide nothing: of two more what verdicts need, before and late in training.
            Look("landscape", iterations=[0, 300], scale="small", flags={**GROUND, "surface": "slices,surrogate,concentration"},
                 algorithms=["trpo", "ppo", "ppo_m"], seeds=[1, 2]),
            Look("gradients", iterations=[0, 300], scale="small", algorithms=["trpo", "ppo"], seeds=[1, 2]),
            Look("values", iterations=[0, 300], scale="small", algorithms=["trpo", "ppo"], seeds=[1, 2]),
            Look("steps", iterations=CHECKPOINTS, scale="small", algorithms=["trpo", "ppo"], seeds=[1, 2, 3]),
            Look("gradients", iterations=CHECKPOINTS, scale="small", algorithms=["ppo_m"], seeds=[0]),
            Look("values", iterations=CHECKPOINTS, scale="small", algorithms=["ppo_m"], seeds=[0]),
        ],
    ),
    Agents(
        tasks=["Walker2d-v5"],
        algorithms=["trpo", "ppo", "ppo_m"],
        seeds=range(3),
        looks=[
            Look("trust_region", scale="small"),
            Look("landscape", iterations=[0, 300], scale="small", flags=GROUND, algorithms=["trpo", "ppo"], seeds=[0]),
            Look("gradients", iterations=[0, 300], scale="small", algorithms=["trpo", "ppo"], seeds=[0]),
            Look("values", iterations=[0, 300], scale="small", algorithms=["trpo", "ppo"], seeds=[0]),
        ],
    ),
    Agents(tasks=["Humanoid-v5"], algorithms=["trpo", "ppo"], seeds=range(3), looks=[Look("trust_region", scale="small")]),
    Agents(tasks=["Hopper-v5"], algorithms=["ppo"], seeds=[0], variants=dict(ablation())),
)
