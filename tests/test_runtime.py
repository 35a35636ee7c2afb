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


def test_memory_that_is_free_goes_back_to_the_system():
    done = started("""
import ctypes
from tfpg import runtime
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def resident(): return next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("RssAnon"))
blocks = [libc.malloc(100_000) for _ in range(2000)]
for block in blocks: ctypes.memset(block, 1, 100_000)
for block in blocks[:-1]: libc.free(block)  # the last one keeps the others' place in the heap
before = resident()
runtime.give_back()
print(before - resident())
""")
    assert int(done.stdout) > 150, done.stderr  # of 200 MB
