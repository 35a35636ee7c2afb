"""python -m launch.evaluate --policy=DIR: what a saved policy earns, greedily and as it acted, with intervals."""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from launch.shared import commandline, policies, tables
from launch.shared.commandline import say
from tfpg.errors import RunError
from tfpg.shown import quantity

ABOUT = ("Plays whole episodes of a saved policy, greedy and stochastic, prints returns with 95 % intervals and stores "
         "them as NetCDF. --video films one greedy episode.")


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    flags.DEFINE_string("policy", None, "directory of the SavedModel, for example runs/…/policies/000450; policies of other "
                        "code (.keras files too) need --env", flag_values=values)
    whole = commandline.define_whole
    whole("episodes", 100, "episodes of each form; below 50 the intervals are not to be trusted", values=values)
    whole("seed", 0, "seed of start states and noise", low=0, high=2**32 - 1, values=values)
    whole("num_envs", 32, "environments stepped together", values=values)
    whole("max_steps", None, "cuts episodes after so many steps; default the task's time limit, or 1000 where it has none",
          values=values)
    flags.DEFINE_string("video", None, "also film one greedy episode, for example hopper.mp4", flag_values=values)
    flags.DEFINE_string("output", None, "directory of the result; default the run's diagnostics directory, or the "
                        "current one for a policy that lies elsewhere", flag_values=values)
    policies.define_foreign(values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.evaluate", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """One evaluation: numbers first, then the file, then the film."""
    from tfpg.envs import render

    policy = policies.named(values.policy)
    seed, episodes, video = values.seed, values.episodes, values.video
    if video is not None:
        video = render.check_video(video)
    others = [policy] if policies.is_foreign(policy) else []
    given = policies.foreign(values, others)
    settled = policies.runtime_of(policy)

    from tfpg import runtime  # everything above answers bad input before TensorFlow's seconds

    runtime.start(settled)
    from tfpg.diagnostics import evaluation, foreign, probe, results

    probed = probe.load(policy) if given is None else foreign.load(policy, **given)
    found = evaluation.evaluate(probed, episodes=episodes, seed=seed, num_envs=values.num_envs,
                                threads=settled.env_threads, max_steps=values.max_steps)
    say(table(probed, found))
    name = f"evaluation-{probed.iteration:06d}.nc" if isinstance(probed, probe.Probe) else f"evaluation-{policy.stem}.nc"
    say(f"stored in {results.save(found.dataset, policies.output(values.output, policy) / name)}")
    return 0 if video is None else _film(probed, seed, values.max_steps, video)


def table(probed, found) -> str:
    """The result as text."""
    from launch.shared import numbers
    from tfpg.diagnostics.evaluation import FEW
    from tfpg.diagnostics.probe import Probe

    head = numbers.title(probed)
    if isinstance(probed, Probe):
        head = (f"{probed.metadata['preset']} on {probed.task.id}, iteration {probed.iteration}, "
                f"{probed.metadata['env_steps']:,} steps of experience")
    rows = [("", "return", "95 % interval", "median", "min … max", "length", "episodes")]
    for name in ("greedy", "stochastic"):
        s = getattr(found, name)
        rows.append((name, f"{quantity(s.mean)} ± {quantity(s.stderr)}", f"{quantity(s.low)} … {quantity(s.high)}", quantity(s.median),
                     f"{quantity(s.minimum)} … {quantity(s.maximum)}", f"{s.mean_length:.1f}", str(s.count)))
    speed = f"{found.steps:,} steps at {found.steps / found.seconds:,.0f} steps/s by {probed.task.engine}"
    lines = [head, *tables.aligned(rows), f"± is the standard error of the mean; {speed}"]
    if found.greedy.few:
        lines.append(f"few episodes: below {FEW} the intervals can be far too short (--episodes)")
    if cut := int(found.dataset["episode_cut"].sum()):
        lines.append(f"{cut} episodes were cut at {found.dataset.attrs['max_steps']} steps (--max_steps): their returns are parts")
    return "\n".join(lines)


def _film(probed, seed: int, max_steps: int | None, video: Path) -> int:
    """One greedy episode on Gymnasium, whose start states are not those of EnvPool. Returns the exit code."""
    import numpy as np
    import tensorflow as tf

    from tfpg import seeds
    from tfpg.diagnostics.evaluation import LIMIT
    from tfpg.envs import render

    def act(obs):
        noise = np.zeros((1, 1, probed.task.action_size), np.float32)
        action = probed.greedy(tf.constant(obs[np.newaxis, np.newaxis]), noise, probed.theta[np.newaxis])[0, 0].numpy()
        return action + probed.task.action_start if probed.task.discrete else action

    start = seeds.environments(seed, "evaluation_environments", 1)[0]
    try:
        recording = render.record(probed.task.id, dict(probed.task.env_args), act, start,
                                  max_steps or probed.task.time_limit or LIMIT)
        render.make_video(recording, video)
    except RunError as error:
        say(f"launch.evaluate: {error}", sys.stderr)
        return 1
    say(f"filmed a greedy episode of {len(recording.actions)} steps on Gymnasium in {video}")
    return 0


if __name__ == "__main__":
    main()
