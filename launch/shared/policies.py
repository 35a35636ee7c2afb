"""Which saved policy does a flag name, how must TensorFlow be started for it, and where do results go?

Shared by every launcher that looks at a policy. Nothing here imports TensorFlow: bad input is answered before its seconds."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfpg import run_directory, settings, storage, sums
from tfpg.config import Runtime
from tfpg.errors import UserError

FOREIGN = ("env", "env_args", "endpoint", "log_std", "normaliser")  # flags that say how a policy of other code is read

_OURS = (sums.METADATA, sums.SUMS)  # what tfpg.snapshot writes beside a SavedModel, and nobody else


def named(given: str | None, flag: str = "policy") -> Path:
    """The path of a policy.

    Args: flag: that names it. Errors: UserError where none is given, for a run in the place of one of its policies, and
    where there is nothing, or nothing that could be a policy."""
    if not given:
        raise UserError(f"which policy? --{flag}=DIR names the directory of a SavedModel, such as runs/…/policies/000450.")
    path = Path(os.path.abspath(Path(given).expanduser()))
    if not (path / _OURS[0]).exists() and (path / "policies").is_dir():
        raise UserError(f"{path} is a run, --{flag} takes one of its policies: {_choose(path / 'policies')}.")
    if not path.exists():
        hint = f": {_choose(path.parent)}" if path.parent.name == "policies" and path.parent.is_dir() else ""
        raise UserError(f"there is no {'file' if path.suffix else 'directory'} {path}{hint}.")
    if flag == "policy" and path.is_file() and path.suffix != ".keras":
        raise UserError(f"{path} is a file, --{flag} takes the directory of a SavedModel, or a .keras file{_instead(path)}.")
    if path.is_dir() and not any((path / name).exists() for name in ("saved_model.pb", *_OURS)):
        held = any((entry / _OURS[0]).exists() for entry in path.iterdir())
        raise UserError(f"{path} is no SavedModel but holds such: {_choose(path)}." if held else f"{path} holds no SavedModel.")
    return path


def is_foreign(policy: Path) -> bool:
    """Whether other code wrote a policy: as tfpg.diagnostics.foreign.is_foreign says, which needs TensorFlow."""
    ours = any((policy / name).exists() for name in _OURS)
    return policy.suffix == ".keras" or is_imported(policy) or (policy / "saved_model.pb").exists() and not ours


def is_imported(policy: Path) -> bool:
    """Whether launch.import_policy wrote a policy, which then names its task itself."""
    return (policy / sums.IMPORTED).exists()


def define_foreign(values: flags.FlagValues) -> None:
    """The flags FOREIGN."""
    text = flags.DEFINE_string
    text("env", None, "task of a policy that other code wrote; ours, and imported ones, name their own", flag_values=values)
    text("env_args", None, "its keyword arguments, as JSON", flag_values=values)
    text("endpoint", None, "the endpoint of a SavedModel of other code that gives distribution parameters; default "
         "parameters, serve, serving_default, __call__ or TF-Agents' action, whichever there is", flag_values=values)
    flags.DEFINE_float("log_std", None, "log standard deviation where a policy of other code gives the mean alone",
                       flag_values=values)
    text("normaliser", None, "file (.npz) with mean, std and perhaps clip of the observations that a policy of other code "
         "expects", flag_values=values)


def foreign(values: flags.FlagValues, others: Sequence[Path]) -> dict[str, Any] | None:
    """How policies of other code are to be read; None where there is none.

    Errors: UserError where no task is named for one, and for an option that has nobody to serve."""
    given = [name for name in FOREIGN if values[name].value is not None]
    if not others:
        if given:
            raise UserError(f"{given[0]} has no effect: the policies were written by tfpg, which stored their task and all else.")
        return None
    if values.env is None and (nameless := [path for path in others if not is_imported(path)]):
        raise UserError(f"{nameless[0]} was not written by tfpg: --env names the task it acts in.")
    arguments = settings.parse("env_args", tuple, values.env_args) if values.env_args else ()
    return {**{name: values[name].value for name in FOREIGN}, "env_args": arguments}


def runtime_of(policy: Path) -> Runtime:
    """The thread counts that the policy was trained with: they change the bits, and are fixed when TensorFlow starts.

    Errors: UserError for a directory that is not what was written: a flipped bit could be in the thread counts."""
    file = policy / sums.METADATA
    if not file.exists():
        return Runtime()  # loading it says what is wrong
    sums.check(policy)
    metadata = storage.read_json(file)
    try:
        return settings.from_dict(metadata["settings"]).runtime
    except (KeyError, TypeError):
        raise UserError(f"{file} is damaged or of another version: it has no settings.") from None


def runtime_of_all(paths: Sequence[Path]) -> Runtime:
    """The runtime settings that all of them were trained with. Errors: UserError where they differ, and as of `runtime_of`."""
    found = {runtime_of(path) for path in paths}
    if len(found) > 1:
        raise UserError("the policies were trained with different runtime settings, which change every bit: look at them one "
                        "command each.")
    return found.pop()


def output(given: str | None, policy: Path) -> Path:
    """Where results go: what is given, the diagnostics of the policy's run, or the current directory."""
    if given is not None:
        return Path(given).expanduser()
    run = policy.parent.parent
    if policy.parent.name == "policies" and (run / "config.json").exists():
        return run_directory.RunDirectory(run).diagnostics
    return Path.cwd()


def directory(given: str | None, policy: Path, instrument: str, name: str) -> Path:
    """Where the results of one policy go: <instrument>/<iteration>-<name> among the diagnostics of its run; below a directory that
    was given its run is named too, so that it lies there whatever policies are looked at beside it."""
    name = f"{policy.name}-{name}"
    metadata = storage.read_json(policy / sums.METADATA) if given is not None else None
    if metadata is not None:
        name = f"{metadata['preset']}-{metadata['task']['id']}-{metadata['seed']}-{name}"
    return output(given, policy) / instrument / re.sub(r"[^\w.-]+", "-", name)


def check_apart(paths: Sequence[Path], directories: Sequence[Path]) -> None:
    """Errors: UserError where two policies would share a directory."""
    taken: dict[Path, Path] = {}
    for path, directory in zip(paths, directories, strict=True):
        if path in taken.values():
            raise UserError(f"policy={path} is given twice.")
        if directory in taken:
            raise UserError(f"{taken[directory]} and {path} would both be stored in {directory}: look at them one command each, "
                            "with --output.")
        taken[directory] = path


def _instead(file: Path) -> str:
    """What was probably meant by a file in the place of a policy."""
    beside = file.parent.parent / "policies"
    if file.parent.name == "iterates" and beside.is_dir():
        return f": {_choose(beside)}"
    if file.suffix == ".zip":
        return ": python -m launch.import_policy makes one of what Stable-Baselines3 saved"
    return f": {file.parent} is one" if file.name == "saved_model.pb" else ""


def _choose(policies: Path) -> str:
    known = sorted(entry.name for entry in policies.iterdir() if (entry / _OURS[0]).exists())
    return f"choose one of {', '.join(known)} in {policies}" if known else f"there is none yet in {policies}"
