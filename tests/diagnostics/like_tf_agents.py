"""A SavedModel as TF-Agents' PolicySaver writes them, made without TF-Agents, whose pins do not fit ours.

What counts is taken from its source (tf_agents/policies/policy_saver.py): the flat signature `action` of a batched time step whose
inputs are named by their place in the nest (0/step_type, 0/reward, 0/discount, 0/observation), `get_initial_state` and
`get_train_step` beside it, functions of the same names as attributes, and `model_variables`."""

import collections

import numpy as np
import tensorflow as tf

TimeStep = collections.namedtuple("TimeStep", ["step_type", "reward", "discount", "observation"])
PolicyStep = collections.namedtuple("PolicyStep", ["action", "state", "info"])


class Policy(tf.Module):
    """Two layers; `decide` makes actions of their output."""

    def __init__(self, size, actions, decide=lambda x: 2 * tf.tanh(x), state=None, prefix="0/", seed=0):
        super().__init__()
        draw = np.random.default_rng(seed)
        shapes = [(size, 8), (8,), (8, actions), (actions,)]
        self.model_variables = [tf.Variable(draw.normal(size=shape), dtype=tf.float32) for shape in shapes]
        self.train_step = tf.Variable(7, dtype=tf.int64, trainable=False)
        self._decide, self._size, self._state, self._prefix = decide, size, state, prefix

    def forward(self, obs):
        w, b, v, c = self.model_variables
        return self._decide(tf.tanh(obs @ w + b) @ v + c)

    def save(self, path):
        def spec(name, *shape, dtype=tf.float32):
            return tf.TensorSpec([None, *shape], dtype, name=f"{self._prefix}{name}")

        time_step = TimeStep(spec("step_type", dtype=tf.int32), spec("reward"), spec("discount"), spec("observation", self._size))
        state = () if self._state is None else tf.TensorSpec([None, self._state], name="1/actor_network_state/0")

        @tf.function(autograph=False)
        def action(time_step, policy_state=()):
            # Reads all of a time step, as a real one that masks the ends of episodes may.
            shown = time_step.observation + 0 * (time_step.reward + time_step.discount)[:, None]
            return PolicyStep(self.forward(shown), policy_state, ())

        @tf.function(autograph=False, input_signature=tf.nest.flatten((time_step, state)))
        def flat(*inputs):
            nested = tf.nest.pack_sequence_as((time_step, state), inputs)
            return {"action": action(*nested).action} | ({} if self._state is None else {"state": nested[1]})

        action.get_concrete_function(time_step, state)
        self.action = action
        self.get_initial_state = tf.function(lambda batch_size: (), input_signature=[tf.TensorSpec([], tf.int32, name="batch_size")])
        self.get_train_step = tf.function(lambda: tf.identity(self.train_step), input_signature=[])
        signatures = {"action": flat,
                      "get_train_step": tf.function(lambda: {"int64": tf.identity(self.train_step)}, input_signature=[])}
        tf.saved_model.save(self, str(path), signatures=signatures)
        return path
