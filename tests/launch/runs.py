"""What a finished run left, for comparing two of them bit for bit."""

import json

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfpg import storage

# Small enough for a test, every part of a real run in it: 4 iterations on Hopper, XLA left out for its seconds.
QUICK = ["--total_steps=1024", "--rollout.num_steps=256", "--rollout.num_envs=8", "--value.minibatches=4",
         "--value.epochs=2", "--noruntime.xla", "--final_episodes=0"]


def metrics(run):
    """The lines of metrics.jsonl without the times, and without the sums, which are over these too."""
    rows = [json.loads(line) for line in storage.read_lines(run / "metrics.jsonl")]
    return [{key: value for key, value in row.items() if not key.startswith("time/") and key != "crc32"} for row in rows]


def arrays(run):
    """Every array of the film and of the last checkpoint, by file and name."""
    files = sorted((run / "iterates").glob("*.npz")) + sorted((run / "checkpoints").glob("*.npz"))[-1:]
    return {f"{file.parent.name}/{file.name}/{name}": array
            for file in files for name, array in storage.read_npz(file).items()}


def scalars(run):
    """TensorBoard's curves without the times: tag → [(step, value), …]."""
    events = EventAccumulator(str(run / "train"), size_guidance={"scalars": 0}).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)]
            for tag in events.Tags()["scalars"] if not tag.startswith("time/")}


def assert_equal_runs(a, b, *, but=None):
    """Two finished runs are the same in everything but times of day, and numbers whose tags begin with `but`."""
    def without(numbers):
        return {key: value for key, value in numbers.items() if but is None or not key.startswith(but)}

    assert [without(row) for row in metrics(a)] == [without(row) for row in metrics(b)]
    left, right = arrays(a), arrays(b)
    assert left.keys() == right.keys()
    for name, array in left.items():
        np.testing.assert_array_equal(array, right[name], err_msg=name)
    assert without(scalars(a)) == without(scalars(b))


def assert_equal_policies(a, b):
    """Two runs kept the same SavedModels: variables and metadata byte for byte; the graph's node names count up."""
    names = sorted(path.name for path in (a / "policies").iterdir())
    assert names == sorted(path.name for path in (b / "policies").iterdir())
    for file in ("metadata.json", "variables/variables.data-00000-of-00001"):
        for name in names:
            assert (a / "policies" / name / file).read_bytes() == (b / "policies" / name / file).read_bytes(), (name, file)
