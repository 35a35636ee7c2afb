"""How is TensorFlow started? Quietly, on the processor, with thread counts that are part of the run's identity."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import warnings
from collections.abc import Iterator

from tfpg.config import Runtime
from tfpg.errors import UserError

_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # On and off give different bits, and on chooses by processor; off costs nothing at these sizes.
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "-1",  # small nets on small batches: an accelerator's call alone takes longer
    "KERAS_BACKEND": "tensorflow",
}


def start(runtime: Runtime) -> None:
    """Imports TensorFlow with these settings, once for the process and before anything else does.

    Errors: UserError where TensorFlow is already imported without them, or runs with other thread counts: both would
    change every result's bits unnoticed."""
    if "tensorflow" in sys.modules and any(os.environ.get(name) != value for name, value in _ENVIRONMENT.items()):
        raise UserError("TensorFlow was imported before tfpg.runtime.start, which chooses how it computes: call it first, "
                        "and import tfpg.training after it.")
    os.environ.update(_ENVIRONMENT)
    with _silence():
        import tensorflow as tf
        import tensorflow_probability  # noqa: F401  (warns at import)

    # TensorFlow warns of the fifth compiled function of one name in a process: engines and agents are made often.
    tf.get_logger().setLevel("ERROR")
    threading = tf.config.threading
    wanted = (runtime.intra_op_threads, runtime.inter_op_threads)
    if (threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()) == wanted:
        return
    try:
        threading.set_intra_op_parallelism_threads(wanted[0])
        threading.set_inter_op_parallelism_threads(wanted[1])
    except RuntimeError:
        raise UserError("TensorFlow has started with other thread counts in this process than runtime.intra_op_threads="
                        f"{wanted[0]}, runtime.inter_op_threads={wanted[1]}: call tfpg.runtime.start first.") from None


def give_back() -> None:
    """Returns memory that is free to the system. XLA's compiler leaves some 150 MB, which glibc would keep; other C libraries have no
    such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing on standard error: half of TensorFlow's greetings come from C++ and know no log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nothing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
