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


def test_gradients_of_ones_own_are_judged_by_arrays_alone():
    """Gradients with 2,048 pairs each of noise scale B: E‖noise‖² = ‖g‖² B/2048."""
    draw = np.random.default_rng(1)
    truth, noise_scale = draw.choice([-1.0, 1.0], 400), 4096  # a coordinate's noise is to it as all noise is to ‖g‖

    def my_gradient(pairs):
        return truth + np.sqrt(noise_scale / pairs) * draw.normal(size=400)

    scope = {"my_gradient": my_gradient, "ten_batches_of_2048_pairs": [2048] * 10, "ten_batches_of_100_000_others": [100_000] * 10}
    code = block("from tfpg.diagnostics.gradients import agreement, references")
    exec(code, scope)  # noqa: S102  (our own text)
    asked = {line.split("(")[0]: eval(line, scope) for line in code.splitlines() if line.startswith(("agreement.", "references."))}
    low, high = asked["agreement.noise_scale"].low, asked["agreement.noise_scale"].high
    assert low < noise_scale < high < np.inf
    assert abs(float(asked["agreement.pairwise"].mean) - 2048 / (2048 + noise_scale)) < 0.1
    assert asked["agreement.chance"] == 1 / np.sqrt(400)
