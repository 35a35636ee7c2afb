"""python -m launch.import_policy --from=model.zip --env=Hopper-v5 --output=DIR: another library's policy as a SavedModel of this project."""

from __future__ import annotations

import os
from pathlib import Path

from absl import flags, logging

from launch.shared import commandline
from launch.shared.commandline import say
from tfpg import settings, storage, sums
from tfpg.errors import UserError
from tfpg.importing import stable_baselines, vec_normalize
from tfpg.importing.stable_baselines import Found, Spaces
from tfpg.importing.vec_normalize import Statistics

ABOUT = ("Turns a policy that Stable-Baselines3 saved (MlpPolicy of PPO, A2C or sb3-contrib's TRPO; Box or Discrete actions) into a "
         "SavedModel with this project's endpoints, VecNormalize's statistics inside, for launch.evaluate and launch.landscape. "
         "Neither Stable-Baselines3 nor PyTorch is needed, and no code of the file is run: its pickles are read opcode by opcode. What "
         "cannot be represented is refused by name. Keras files and other SavedModels need no import.")
NONE = "none"


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    text = flags.DEFINE_string
    text("from", None, "the zip that model.save wrote", flag_values=values)
    text("vec_normalize", None, "the file that VecNormalize.save wrote, where the policy was trained behind it; needs --trust_pickle. "
         f"{NONE}: it was, and what it saw was not normalised", flag_values=values)
    flags.DEFINE_bool("trust_pickle", False, "reads the file of --vec_normalize, a pickle. Its opcodes are read and nothing is run; names "
                      "that no such file needs are refused", flag_values=values)
    text("env", None, "the task that the policy acts in, for example Hopper-v5; needed", flag_values=values)
    text("env_args", None, "its keyword arguments, as JSON", flag_values=values)
    text("output", None, "directory of the SavedModel; an older import there is replaced, anything else is not; needed", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.import_policy", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """All that can be refused without TensorFlow first; then the SavedModel."""
    path, output, env = _source(values["from"].value), _output(values.output), values.env
    if env is None:
        raise UserError("which task does it act in? --env=TASK names it, such as --env=Hopper-v5.")
    found = stable_baselines.read(path)
    statistics, normaliser = _statistics(values, path, found)

    from tfpg.envs import make

    arguments = settings.parse("env_args", tuple, values.env_args) if values.env_args else ()
    task = make.describe(env, arguments)
    _check_task(path, found.spaces, task)

    from tfpg import runtime
    from tfpg.config import Runtime

    runtime.start(Runtime())
    from tfpg.diagnostics import foreign_imports

    source = {"from": os.fspath(path), "sha256": storage.fingerprint(path), "library": "Stable-Baselines3", "version": found.version,
              "env_steps": found.steps}
    if normaliser is not None:
        source |= {"vec_normalize": os.fspath(normaliser), "vec_normalize_sha256": storage.fingerprint(normaliser)}
    logging.set_verbosity(logging.WARNING)  # SavedModel tells of every file it writes
    foreign_imports.write(output, found, statistics, task, source)
    say(_converted(found, statistics, env, path))
    say(f"stored in {output}: python -m launch.evaluate --policy={output}")
    return 0


def _source(given: str | None) -> Path:
    if not given:
        raise UserError("which policy? --from=FILE names the zip that Stable-Baselines3's model.save wrote.")
    path = Path(os.path.abspath(Path(given).expanduser()))
    if not path.exists():
        raise UserError(f"there is no file {path}.")
    if path.suffix == ".keras" or (path / "saved_model.pb").exists():
        task = "" if (path / sums.METADATA).exists() or (path / sums.IMPORTED).exists() else " --env=TASK"  # these name their own
        raise UserError(f"{path} needs no import: launch.evaluate and launch.landscape read it, --policy={path}{task}.")
    if path.is_dir():
        raise UserError(f"{path} is a directory and no SavedModel: --from takes the zip that model.save wrote.")
    return path


def _output(given: str | None) -> Path:
    if not given:
        raise UserError("where to? --output=DIR names the directory of the SavedModel.")
    path = Path(os.path.abspath(Path(given).expanduser()))
    if path.exists() and not (path / sums.IMPORTED).exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} is there already and no imported policy: it is not replaced, choose another --output.")
    return path


def _statistics(values: flags.FlagValues, path: Path, found: Found) -> tuple[Statistics, Path | None]:
    """What observations are normalised by, and the file."""
    given, trusted = values.vec_normalize, values.trust_pickle
    if given in (None, NONE):
        if trusted:
            raise UserError("trust_pickle has no effect without the file of --vec_normalize: a zip is read without trust.")
        if given is None and found.normalised:
            raise UserError(f"{path} was trained behind VecNormalize: --vec_normalize=FILE --trust_pickle names its statistics, "
                            f"--vec_normalize={NONE} says that it left observations as they are.")
        return vec_normalize.identity(found.spaces.obs_size), None
    if not trusted:
        raise UserError(f"vec_normalize={given} is a pickle, which can hold more than statistics: --trust_pickle reads it, without running "
                        "anything of it.")
    file = Path(os.path.abspath(Path(given).expanduser()))
    return vec_normalize.read(file, found.spaces.obs_size), file


def _check_task(path: Path, spaces: Spaces, task) -> None:
    if spaces.obs_size != task.obs_size:
        raise UserError(f"{path} sees {spaces.obs_size} numbers, but {task.id} gives observations of size {task.obs_size}.")
    if (spaces.discrete, spaces.action_size) != (task.discrete, task.action_size):
        kinds = [f"{size} discrete actions" if discrete else f"actions of size {size}" for discrete, size in (
            (spaces.discrete, spaces.action_size), (task.discrete, task.action_size))]
        raise UserError(f"{path} has {kinds[0]}, but {task.id} takes {kinds[1]}.")


def _converted(found: Found, statistics: Statistics, env: str, path: Path) -> str:
    hidden = [" and ".join(str(len(layer.bias)) for layer in layers[:-1]) or "no" for layers in (found.policy, found.value)]
    spaces = found.spaces
    normalised = statistics.clip < float("inf") or statistics.epsilon > 0
    return "\n".join([
        f"{path.name}: MlpPolicy of Stable-Baselines3 {found.version}, {found.steps:,} steps of experience, for {env}",
        f"  policy   {spaces.obs_size} → {hidden[0]} hidden units ({found.activation}) → "
        + (f"logits of {spaces.action_size} actions" if spaces.discrete else f"mean of {spaces.action_size} actions, log std the same everywhere"),
        f"  value    {spaces.obs_size} → {hidden[1]} hidden units → V, of rewards as they were normalised in training",
        f"  observations {f'normalised by VecNormalize, clipped at ±{statistics.clip:g}' if normalised else 'as the task gives them'}",
        "  actions  " + ("from 0" if spaces.discrete else "clipped to the action space on their way to the task, as Stable-Baselines3 does; "
                         "parameters and log_prob are before that"),
        "  left out: optimisers, schedules, buffers: no step of the training can be looked at, --step names a second policy"])


if __name__ == "__main__":
    main()
