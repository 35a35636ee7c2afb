"""What the README shows to be copied into other people's code does what it says."""

import pathlib
import re

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TEXT = (pathlib.Path(__file__).parents[1] / "README.md").read_text()


def block(containing):
    """The one Python block of the README with these words."""
    found, = (code for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if containing in code)
    return found


def test_the_trust_region_monitor_works_in_a_loop_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    batches = [(draw.normal(size=(64, 4)).astype(np.float32), draw.integers(2, size=64), draw.normal(size=64).astype(np.float32))
               for _ in range(3)]
    scope = {"batches": batches}
    exec(block("from tfpg.objectives import trust_region"), scope)  # noqa: S102  (our own text)
    scope["writer"].close()
    events = EventAccumulator("logs").Reload()
    found = {tag: [float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
             for tag in events.Tags()["tensors"]}
    assert all(len(values) == 3 for values in found.values()) and len(found) == 19
    # the last update: what the policy became against what it had been
    old, new = scope["pi_old"], scope["policy"](batches[-1][0])
    p, q = old.probs_parameter().numpy(), new.probs_parameter().numpy()
    np.testing.assert_allclose(found["trust_region/train/mean_kl"][-1], np.mean(np.sum(p * np.log(p / q), 1)), rtol=1e-3)
    taken = np.arange(64), batches[-1][1]
    np.testing.assert_allclose(found["trust_region/train/max_ratio"][-1], np.max(q[taken] / p[taken]), rtol=1e-5)
    assert found["trust_region/train/mean_kl"][-1] > 0
