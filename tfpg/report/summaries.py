"""How does a run get into TensorBoard? The only file that knows tf.summary; the x axis is environment steps."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api as hp

from tfpg import settings, storage
from tfpg.config import ALGORITHMS, Config, Setting, all_settings
from tfpg.errors import UserError
from tfpg.types import Iteration

# A setting of the other algorithm: written so that its column exists in every run.
ABSENT = "not applicable"
_FLUSH_SECONDS = 2


class Summaries:
    """Writes one run's event file; further writers on the same directory (a run continued) add files of their own."""

    def __init__(self, directory: str | os.PathLike, *, histograms: bool = False):
        self._directory = directory
        with self._refusals():
            self._writer = tf.summary.create_file_writer(
                os.fspath(directory), max_queue=1000, flush_millis=1000 * _FLUSH_SECONDS)
        self._histograms = histograms

    def write(self, iteration: Iteration, metrics: Mapping[str, float]) -> None:
        """One event that holds every metric of an iteration."""
        # tf.summary.scalar, a call for each tag, costs 8 ms for 34 of them; this 0.2 ms.
        scalars = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in metrics.items()])
        self._raw(scalars, iteration.env_steps)
        if self._histograms:
            self._write_histograms(iteration)

    def figure(self, tag: str, png: bytes, *, env_steps: int = 0) -> None:
        """A picture, as the bytes of a PNG (report.figures.png)."""
        width, height = struct.unpack(">II", png[16:24])  # after the signature, the first chunk's length and name
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        self._raw(Summary(value=[Summary.Value(tag=tag, image=image)]), env_steps)

    def text(self, tag: str, markdown: str, *, env_steps: int = 0) -> None:
        """A text in Markdown."""
        with self._refusals(), self._writer.as_default():
            tf.summary.text(tag, markdown, step=env_steps)

    def hparams(self, config: Config, final_scores: Mapping[str, float] | None = None, *, env_steps: int = 0) -> None:
        """The run's row in the HParams table: at its start, and again with its scores (`final/…`) at its end.

        No list of columns is declared: TensorBoard then shows first those that differ between the runs it was given."""
        row = hyperparameters(config)
        # Rows of one trial are merged: every setting must be in its name, the readable ones first.
        digest = hashlib.sha256(json.dumps(row).encode()).hexdigest()[:8]
        with self._refusals(), self._writer.as_default():
            hp.hparams(row, trial_id=f"{config.preset} {config.env} {config.seed} {digest}")
        if final_scores:
            self._raw(Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in final_scores.items()]), env_steps)

    def flush(self) -> None:
        """Hands all that was written to the disk. Due before each checkpoint: what is lost later is not made again."""
        with self._refusals():
            self._writer.flush()
        directory = Path(self._directory)
        with storage.user_errors("write", directory):
            for path in (*directory.glob("events.out.tfevents.*"), directory):
                storage.sync(path)

    def close(self) -> None:
        """Flushes and ends the event file."""
        with self._refusals():
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """What the disk refuses TensorFlow, as a UserError of one sentence."""
        try:
            yield
        except tf.errors.OpError as error:
            reason = str(error).partition("\n")[0].rpartition("; ")[2].lower()  # after TensorFlow's operation and the file
            raise UserError(f"cannot write an event file of TensorBoard in {self._directory}: {reason}.") from error

    def _raw(self, summary: Summary, env_steps: int) -> None:
        with self._refusals(), self._writer.as_default():
            tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=env_steps)

    def _write_histograms(self, iteration: Iteration) -> None:
        batch, update = iteration.batch, iteration.update
        found = {"policy/actions": batch.actions, "policy/parameters": update.learner.theta,
                 "policy/advantages": batch.advantages, "value/train/targets": batch.value_targets,
                 "value/train/errors": tf.subtract(update.values_after, batch.value_targets)}
        with self._refusals(), self._writer.as_default(step=iteration.env_steps):
            for tag, data in found.items():
                tf.summary.histogram(tag, data)


def cut(directory: str | os.PathLike, env_steps: int) -> None:
    """Takes back every event after `env_steps`, and a record that a kill tore: events back to a checkpoint.

    A file that loses something is written anew and renamed over the old one; one that keeps no summary is removed."""
    for path in sorted(Path(directory).glob("events.out.tfevents.*")):
        records, whole = _records(path)
        kept = [record for record, event in records if event.step <= env_steps]
        if whole and kept and len(kept) == len(records):
            continue
        if not any(event.HasField("summary") for _, event in records if event.step <= env_steps):
            storage.remove(path)
            continue
        with storage.atomically(path) as temporary, tf.io.TFRecordWriter(os.fspath(temporary)) as writer:
            for record in kept:
                writer.write(record)


def hyperparameters(config: Config) -> dict[str, bool | float | str]:
    """Every setting of both algorithms by dotted name: the same keys and types in every run.

    A number stays a number where every run has one; settings that may be absent or off are texts in every run."""
    values = settings.to_dict(config)
    row = {}
    for name, setting in _columns().items():
        value = values.get(name, ABSENT)
        always = name.partition(".")[0] not in ALGORITHMS and setting.kind in (bool, int, float, str)
        row[name] = value if always else _shown(value)
    return row


def configuration_table(config: Config) -> str:
    """The settings that apply to a run, with their meaning, as a Markdown table."""
    columns = _columns()
    lines = ["| setting | value | meaning |", "|---|---|---|"]
    for name, value in settings.to_dict(config).items():
        cells = (name, _shown(value), columns[name].text)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value, ensure_ascii=False)


def _columns() -> dict[str, Setting]:
    algorithm = Setting("algorithm", None, str, "update rule", {"choices": tuple(ALGORITHMS)})
    return {setting.name: setting for setting in (algorithm, *all_settings())}


def _records(path: Path) -> tuple[list[tuple[bytes, Event]], bool]:
    """The records of an event file up to the first torn one, and whether there was none."""
    found = []
    try:
        for record in tf.data.TFRecordDataset(os.fspath(path)).as_numpy_iterator():
            found.append((record, Event.FromString(record)))
    except tf.errors.DataLossError:
        return found, False
    return found, True
