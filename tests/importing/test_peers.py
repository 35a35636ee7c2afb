"""Where Stable-Baselines3 is installed: what it makes now, complete and by whatever versions are here, is imported the same.

It works in a process of its own, for PyTorch and TensorFlow do not bear each other in one."""

import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.importing.files import TASKS, answers, imported

pytestmark = pytest.mark.skipif(any(importlib.util.find_spec(name) is None for name in ("stable_baselines3", "sb3_contrib")),
                                reason="pip install -e '.[peers]' brings Stable-Baselines3")


@pytest.mark.parametrize("name", TASKS)
def test_what_stable_baselines_makes_here_is_imported_with_its_answers(name, tmp_path):
    script = pathlib.Path(__file__).with_name("make_fixtures.py")
    subprocess.run([sys.executable, script, tmp_path, name], check=True, timeout=200)
    model, original = tf.saved_model.load(str(imported(name, tmp_path / "p", tmp_path))), answers(name, tmp_path)
    np.testing.assert_allclose(model.greedy(original["obs"]), original["greedy"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.value(original["obs"], np.zeros(64, np.int32)), original["value"], rtol=1e-4, atol=1e-5)
