"""Why do our agents on Humanoid-v5 end below the published? The authors' sampling, and the task's older version, one at a time.

The authors collect a batch from one environment that is reset for it; ours come from 32 that carry over, 64 steps of each a batch."""

from tfpg.study import Agents, Look

THEIRS = {"rollout.num_envs": 1, "rollout.carry_over": False}

STUDY = Agents(
    tasks=["Humanoid-v5", "Humanoid-v4"],
    algorithms=["trpo", "ppo"],
    seeds=range(3),
    variants={"": {}, "theirs": THEIRS},
    looks=[Look("evaluate", iterations=[-1], flags={"episodes": 100})],
)
