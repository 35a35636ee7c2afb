"""What lies in the directory of a run, and who may write there?

    config.json      resolved settings, command, seed, versions, commit: written once
    metrics.jsonl    one line an iteration         iterates/000150.npz    θ, φ, normaliser
    checkpoints/     resume state                  policies/000150/       SavedModel
    diagnostics/     results and their figures     train/                 TensorBoard events
    finished.json    written last                  manifest.jsonl, lock   see tfpg.storage; held while a process trains

Reading needs no lock: RunDirectory(path). Training holds it: RunDirectory.open(…)."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tfpg import settings, storage
from tfpg.config import Config
from tfpg.errors import UserError
from tfpg.lock import Lock

PACKAGES = (
    "tfpg", "tensorflow", "keras", "tensorflow-probability", "envpool", "gymnasium", "mujoco", "numpy")


def default_path(config: Config) -> Path:
    """runs/<preset>-<env>-<seed>, with what a file name should not hold replaced by a hyphen."""
    return Path("runs") / re.sub(r"[^\w.-]+", "-", f"{config.preset}-{config.env}-{config.seed}")


class RunDirectory:
    """The directory of one run. Holding the lock makes it writable; everything else is names of files."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(os.path.abspath(Path(path).expanduser()))
        self.continued = False  # whether `open` found a run already begun
        self._lock = Lock(self.path, "is training in")

    @classmethod
    def open(cls, path: str | os.PathLike, config: Config, command: Sequence[str]) -> RunDirectory:
        """Creates the directory of a run, or goes on with one of the same configuration; holds its lock until `close`.

        Errors: UserError for another configuration (with every difference on a line), a directory of other files,
        a run that another process holds, a damaged config.json, a disk that refuses."""
        run = cls(path)
        storage.make_directory(run.path)
        run._refuse_foreign()
        # Before the lock is held: a program started by us shares it until it runs, and outlives us if we are killed then.
        record = _record(config, command)
        run._lock.hold()
        try:
            run.continued = run.config_file.exists()
            if run.continued:
                run._compare(config)
            else:
                storage.create_manifest(run.path)
                storage.write_json(run.config_file, record)
            run._prepare()
        except BaseException:
            run.close()
            raise
        return run

    def close(self) -> None:
        """Gives the lock back."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # What lies where

    @property
    def config_file(self) -> Path:
        """Settings, command, seed, versions."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """A line of JSON for each iteration."""
        return self.path / "metrics.jsonl"

    @property
    def iterates(self) -> Path:
        """Directory of the film: θ_k, φ_k and the normaliser of each iteration."""
        return self.path / "iterates"

    @property
    def checkpoints(self) -> Path:
        """Directory of where training goes on."""
        return self.path / "checkpoints"

    @property
    def policies(self) -> Path:
        """Directory of the SavedModels."""
        return self.path / "policies"

    @property
    def diagnostics(self) -> Path:
        """Directory of what instruments found."""
        return self.path / "diagnostics"

    @property
    def train(self) -> Path:
        """Directory of TensorBoard's events."""
        return self.path / "train"

    def iterate(self, index: int) -> Path:
        """File of θ_k, φ_k and the normaliser, k = index."""
        return self.iterates / f"{index:06d}.npz"

    def policy(self, index: int) -> Path:
        """Directory of the SavedModel of iteration k = index."""
        return self.policies / f"{index:06d}"

    # What the run is

    @property
    def record(self) -> dict[str, Any]:
        """The content of config.json. Errors: UserError when it is missing or damaged."""
        if not self.config_file.exists():
            raise UserError(f"{self.path} is no run directory: it has no config.json.")
        record = storage.read_json(self.config_file)
        if not isinstance(record, dict) or not isinstance(record.get("settings"), dict):
            raise UserError(f"{self.config_file} is damaged: it has no settings.")
        return record

    @property
    def config(self) -> Config:
        """The run's configuration. Errors: UserError when config.json is missing or damaged."""
        values = self.record["settings"]
        try:
            return settings.from_dict(values)
        except UserError as error:
            raise UserError(f"{self.config_file} is damaged or of another version: {error}") from None

    @property
    def finished(self) -> bool:
        """Whether every iteration was made and stored: finished.json is written last, and whole."""
        return self.mark.exists() and self.mark_damage is None

    @property
    def mark(self) -> Path:
        """File that says that the run is finished, with its scores."""
        return self.path / "finished.json"

    @property
    def mark_damage(self) -> str | None:
        """What is wrong with finished.json where it is damaged, a sentence: the run does not count as finished then, and training it
        goes on from its last checkpoint, which writes the mark anew."""
        try:
            if self.mark.exists() and not isinstance(storage.read_json(self.mark), dict):
                return f"{self.mark} is damaged: it is no JSON object."
        except UserError as error:
            return str(error)
        return None

    def finish(self, **facts: Any) -> None:
        """Marks the run as finished. Args: facts: plain JSON values to keep with the mark."""
        storage.write_json(self.mark, {"finished": _now(), **facts})

    def version_changes(self) -> list[str]:
        """Packages that differ from those the run began with, a line each: its bits may no longer be reproducible."""
        began = self.record.get("versions")
        return settings.difference(began if isinstance(began, dict) else {}, versions())

    def _compare(self, config: Config) -> None:
        lines = settings.difference(settings.to_dict(self.config), settings.to_dict(config))
        if lines:
            raise UserError(f"{self.path} holds a run with another configuration (there → asked for); "
                            "choose another --workdir or the same settings:\n  " + "\n  ".join(lines))

    def _refuse_foreign(self) -> None:
        with storage.user_errors("read", self.path):
            names = {entry.name for entry in self.path.iterdir()}
        ours = {"lock", storage.MANIFEST}  # all that a kill before config.json can leave
        if "config.json" not in names and any(n not in ours and not storage.is_temporary(n) for n in names):
            raise UserError(f"{self.path} is not empty and no run directory: it has no config.json.")

    def _prepare(self) -> None:
        storage.settle(self.path)
        own = (self.iterates, self.checkpoints, self.policies, self.train)
        for directory in (*own, self.diagnostics):
            storage.make_directory(directory)
        for directory in (self.path, *own):  # other programs may be writing into diagnostics
            storage.remove_temporaries(directory)


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of packages, by default those a run depends on; those not installed are left out."""
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The git commit of this code, with -dirty when files differ from it; None outside a repository of its own."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():  # an installed copy may lie within somebody else's repository
        return None
    try:
        done = subprocess.run(["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
                              capture_output=True, text=True, timeout=10, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


@functools.cache
def processor() -> str:
    """The machine's processor, as it calls itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _record(config: Config, command: Sequence[str]) -> dict[str, Any]:
    return {
        "settings": settings.to_dict(config),
        "command": list(command),
        "seed": config.seed,
        "versions": versions(),
        "commit": commit(),
        "python": platform.python_version(),
        "processor": processor(),
        "created": _now(),
    }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
