"""TensorFlow started as every launcher starts it, before any test can use it."""

from tfpg import runtime
from tfpg.config import Runtime

runtime.start(Runtime())
