"""TensorFlow starts as the run says, or not at all."""

import os
import subprocess
import sys


def started(code):
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "CUDA_", "KERAS_"))}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False, env=bare)


def test_starting_is_quiet_and_sets_the_threads():
    done = started("from tfpg import runtime; from tfpg.config import Runtime; runtime.start(Runtime(inter_op_threads=2)); "
                   "import tensorflow as tf; print(tf.config.threading.get_inter_op_parallelism_threads())")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


def test_a_tensorflow_imported_before_is_refused_in_one_sentence():
    done = started("import sys, types; sys.modules['tensorflow'] = types.ModuleType('tensorflow')\n"
                   "from tfpg import runtime; from tfpg.config import Runtime; runtime.start(Runtime())")
    assert done.returncode == 1
    assert "TensorFlow was imported before tfpg.runtime.start" in done.stderr.splitlines()[-1]
