"""TensorFlow started as every launcher starts it, before any test can use it."""

import signal

from tfpg import runtime
from tfpg.config import Runtime

runtime.start(Runtime())

# A shell that starts the tests in its background has them ignore Ctrl-C, and so does everything they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
