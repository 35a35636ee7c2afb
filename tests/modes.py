"""The three ways in which a function of tensors is run: each must give the same."""

import pytest
import tensorflow as tf

MODES = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": lambda function: tf.function(function, jit_compile=True),
}

every_mode = pytest.mark.parametrize("run", MODES.values(), ids=MODES.keys())
