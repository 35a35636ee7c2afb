"""python -m launch.evaluate --policy=DIR: what a saved policy earns, greedily and as it acted, with intervals."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from absl import flags

from launch import commandline
from tfpg import run_directory, settings, storage
from tfpg.config import Runtime
from tfpg.errors import RunError, UserError

ABOUT = ("Plays whole episodes of a saved policy, greedy and stochastic, prints returns with 95 % intervals and stores "
         "them as NetCDF. --video films one greedy episode.")


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    flags.DEFINE_string("policy", None, "directory of the SavedModel, for example runs/…/policies/000450", flag_values=values)
    flags.DEFINE_integer("episodes", 100, "episodes of each form; below 50 the intervals are not to be trusted",
                         lower_bound=1, flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of start states and noise", lower_bound=0, upper_bound=2**32 - 1,
                         flag_values=values)
    flags.DEFINE_integer("num_envs", 32, "environments stepped together", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("max_steps", None, "cuts episodes after so many steps; unless given the task's time limit, or "
                         "1000 where it has none", lower_bound=1, flag_values=values)
    flags.DEFINE_string("video", None, "also film one greedy episode, for example hopper.mp4", flag_values=values)
    flags.DEFINE_string("output", None, "directory of the result; unless given the run's diagnostics directory, or the "
                        "current one for a policy that lies elsewhere", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.evaluate", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """One evaluation: numbers first, then the file, then the film."""
    from tfpg.envs import render

    policy = _policy(values["policy"].value)
    seed, episodes, video = (values[name].value for name in ("seed", "episodes", "video"))
    if video is not None:
        video = render.check_video(video)
    settled = _runtime(policy)

    from tfpg import runtime  # everything above answers bad input before TensorFlow's seconds

    runtime.start(settled)
    from tfpg.diagnostics import evaluation, probe, results

    probed = probe.load(policy)
    found = evaluation.evaluate(probed, episodes=episodes, seed=seed, num_envs=values["num_envs"].value,
                                threads=settled.env_threads, max_steps=values["max_steps"].value)
    _say(table(probed, found))
    name = f"evaluation-{probed.iteration:06d}.nc"
    _say(f"stored in {results.save(found.dataset, _output(values['output'].value, policy) / name)}")
    return 0 if video is None else _film(probed, seed, video)


def table(probed, found) -> str:
    """The result as text."""
    from tfpg.diagnostics.evaluation import FEW

    head = (f"{probed.metadata['preset']} on {probed.task.id}, iteration {probed.iteration}, "
            f"{probed.metadata['env_steps']:,} steps of experience")
    rows = [("", "return", "95 % interval", "median", "min … max", "length", "episodes")]
    for name in ("greedy", "stochastic"):
        s = getattr(found, name)
        rows.append((name, f"{s.mean:.1f} ± {s.stderr:.1f}", f"{s.low:.1f} … {s.high:.1f}", f"{s.median:.1f}",
                     f"{s.minimum:.1f} … {s.maximum:.1f}", f"{s.mean_length:.1f}", str(s.count)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                       for column, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in rows]
    speed = f"{found.steps:,} steps at {found.steps / found.seconds:,.0f} steps/s by {probed.task.engine}"
    lines = [head, *lines, f"± is the standard error of the mean; {speed}"]
    if found.greedy.few:
        lines.append(f"few episodes: below {FEW} the intervals can be far too short (--episodes)")
    if cut := int(found.dataset["episode_cut"].sum()):
        lines.append(f"{cut} episodes were cut at {found.dataset.attrs['max_steps']} steps (--max_steps): their returns are parts")
    return "\n".join(lines)


def _policy(given: str | None) -> Path:
    if not given:
        raise UserError("which policy? --policy=DIR names the directory of a SavedModel, such as runs/…/policies/000450.")
    path = Path(os.path.abspath(Path(given).expanduser()))
    policies = path / "policies"
    if not (path / "metadata.json").exists() and policies.is_dir():
        known = sorted(entry.name for entry in policies.iterdir() if (entry / "metadata.json").exists())
        choose = f"choose one of {', '.join(known)} in {policies}" if known else f"there is none yet in {policies}"
        raise UserError(f"{path} is a run, --policy takes one of its policies: {choose}.")
    return path


def _runtime(policy: Path) -> Runtime:
    """The thread counts that the policy was trained with: they change the bits, and are fixed when TensorFlow starts."""
    file = policy / "metadata.json"
    if not file.exists():
        return Runtime()  # loading it says what is wrong
    metadata = storage.read_json(file)
    try:
        return settings.from_dict(metadata["settings"]).runtime
    except (KeyError, TypeError):
        raise UserError(f"{file} is damaged or of another version: it has no settings.") from None


def _output(given: str | None, policy: Path) -> Path:
    if given is not None:
        return Path(given).expanduser()
    run = policy.parent.parent
    if policy.parent.name == "policies" and (run / "config.json").exists():
        return run_directory.RunDirectory(run).diagnostics
    return Path.cwd()


def _film(probed, seed: int, video: Path) -> int:
    """One greedy episode on Gymnasium, whose start states are not those of EnvPool. Returns the exit code."""
    import numpy as np
    import tensorflow as tf

    from tfpg import seeds
    from tfpg.diagnostics.evaluation import LIMIT
    from tfpg.envs import render

    def act(obs):
        action = probed.model.greedy(tf.constant(obs[np.newaxis]))[0].numpy()
        return action + probed.task.action_start if probed.task.discrete else action

    start = seeds.environments(seed, "evaluation_environments", 1)[0]
    try:
        recording = render.record(probed.task.id, dict(probed.task.env_args), act, start, probed.task.time_limit or LIMIT)
        render.make_video(recording, video)
    except RunError as error:
        print(f"launch.evaluate: {error}", file=sys.stderr, flush=True)
        return 1
    _say(f"filmed a greedy episode of {len(recording.actions)} steps on Gymnasium in {video}")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
