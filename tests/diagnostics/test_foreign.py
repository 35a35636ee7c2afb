"""Policies that know nothing of tfpg: read rightly, as functions of θ, or refused in one sentence."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.diagnostics import handmade, plain_keras
from tfpg import seeds, sums
from tfpg.config import Ppo
from tfpg.diagnostics import foreign, probe
from tfpg.envs.episodes import EpisodeSampler
from tfpg.errors import UserError

S, A = 11, 3  # Hopper
DRAW = np.random.default_rng(0)


def floats(*shape):
    return DRAW.normal(size=shape).astype(np.float32)


def net(outputs, *, size=S, hidden=(8, 8)):
    """A Keras model, its outputs made from features."""
    inputs = keras.Input((size,))
    features = inputs
    for units in hidden:
        features = keras.layers.Dense(units, "tanh")(features)
    return keras.Model(inputs, outputs(features))


def dense(size, name=None, activation=None):
    return keras.layers.Dense(size, activation, name=name, bias_initializer="random_normal")


def gaussian(features):
    return [dense(A, "mean")(features), dense(A, "log_std")(features)]


def side_by_side(features):
    return keras.layers.Concatenate()(gaussian(features))


def named(features):
    mean, log_std = gaussian(features)
    return {"value": dense(A, "value")(features), "mean": mean, "log_std": log_std}


class Module(tf.Module):
    """A policy by plain TensorFlow: a list of layers, a log_std, a normaliser, a value head beside."""

    def __init__(self, size=S, actions=A, dtype=tf.float32):
        super().__init__()
        self.layers = [Layer(size, 8, dtype), Layer(8, actions, dtype)]
        self.log_std = tf.Variable(floats(actions), dtype=dtype)
        self.a_value_head = Layer(8, 1, dtype)
        self.shift = tf.Variable(floats(size), dtype=dtype, trainable=False)
        self.dtype, self.size = dtype, size

    def forward(self, obs):
        hidden = tf.tanh(self.layers[0](obs - self.shift))
        return {"mean": self.layers[1](hidden), "log_std": self.log_std, "value": self.a_value_head(hidden)}

    def save(self, path, **endpoints):
        for name, function in {"parameters": self.forward, **endpoints}.items():
            setattr(self, name, tf.function(function, input_signature=[tf.TensorSpec([None, self.size], self.dtype)]))
        tf.saved_model.save(self, str(path))
        return path


class Layer(tf.Module):
    def __init__(self, before, after, dtype):
        super().__init__()
        self.w, self.b = tf.Variable(floats(before, after) / 3, dtype=dtype), tf.Variable(floats(after), dtype=dtype)

    def __call__(self, x):
        return x @ self.w + self.b


def save(model, path, kind):
    if kind == "keras":
        model.save(path.with_suffix(".keras"))
        return path.with_suffix(".keras")
    model.export(str(path), verbose=False)
    return path


def hopper(path, **options):
    return foreign.load(path, env="Hopper-v5", **options)


@pytest.fixture(scope="module", params=["keras", "export", "module"])
def made(request, tmp_path_factory):
    """(probe, the original's own code as a function (θ, obs) → (mean, log_std))."""
    path = tmp_path_factory.mktemp("policies") / "policy"
    if request.param == "module":
        original = Module()
        probed, call = hopper(original.save(path)), original.forward
        head = {id(variable) for variable in original.a_value_head.variables}
        variables = [variable for variable in original.trainable_variables if id(variable) not in head]
    else:
        original = net(named)
        probed, call = hopper(save(original, path, request.param)), original
        variables = [variable for variable in original.trainable_variables if "value" not in variable.path]

    def function(theta, obs):
        start = 0
        for variable in variables:
            size = int(np.prod(variable.shape))
            variable.assign(np.reshape(theta[start:start + size], variable.shape))
            start += size
        assert start == len(theta)
        outputs = call(obs)
        return outputs["mean"].numpy(), np.broadcast_to(outputs["log_std"], outputs["mean"].shape)

    return probed, function


def test_pi_is_the_model_at_any_theta_in_the_order_of_its_trainable_variables(made):
    probed, function = made
    for theta in (probed.theta, probed.theta + 0.1 * floats(*probed.theta.shape)):
        obs = floats(6, S)
        mean, log_std = function(theta, obs)
        pi = probed.pi(theta, obs)
        assert pi.batch_shape == (6,)
        np.testing.assert_allclose(pi.mean(), mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(pi.stddev(), np.exp(log_std), rtol=1e-5)


def test_one_policy_does_not_depend_on_those_beside_it(made):
    """Eagerly, compiled, and within the kind of loop that EpisodeSampler compiles."""
    probed, function = made
    K, N = 5, 7
    thetas, obs, noise = probed.theta + 0.1 * floats(K, probed.layout.size), floats(K, N, S), floats(K, N, A)
    alone = np.concatenate([probed.act(obs[k:k + 1], noise[k:k + 1], thetas[k:k + 1]) for k in range(K)])
    assert len(np.unique(alone[:, 0, 0])) == K
    for k in range(K):
        mean, log_std = function(thetas[k], obs[k])
        np.testing.assert_allclose(alone[k], mean + np.exp(log_std) * noise[k], rtol=1e-4, atol=1e-5)

    @tf.function(input_signature=[tf.TensorSpec([None, N, S]), tf.TensorSpec([None, N, A]),
                                  tf.TensorSpec([None, probed.layout.size])])
    def looped(obs, noise, thetas):
        def step(i, _):
            return i + 1, probed.act(obs + tf.cast(2 - i, tf.float32), noise, thetas)
        return tf.while_loop(lambda i, _: i < 3, step, (0, tf.zeros_like(noise)), parallel_iterations=10,
                             shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, N, A])))[1]

    np.testing.assert_array_equal(probed.act(obs, noise, thetas), alone)
    np.testing.assert_array_equal(looped(obs, noise, thetas), alone)
    np.testing.assert_array_equal(looped(obs[3:], noise[3:], thetas[3:]), alone[3:])
    order = [3, 0, 4, 1, 2]
    np.testing.assert_array_equal(looped(obs[order], noise[order], thetas[order]), alone[order])
    means = np.stack([probed.pi(theta, rows).mean() for theta, rows in zip(thetas, obs, strict=True)])
    np.testing.assert_array_equal(probed.greedy(obs, noise[..., :0], thetas), means)
    np.testing.assert_array_equal(probed.pi_stacked(thetas, obs).mean(), means)


def test_the_answers_at_theta_are_the_same_after_others_were_asked(made):
    probed, _ = made
    obs = floats(4, S)
    before = probed.pi(probed.theta, obs).mean()
    probed.act(floats(2, 4, S), floats(2, 4, A), probed.theta + floats(2, probed.layout.size))
    np.testing.assert_array_equal(probed.pi(probed.theta, obs).mean(), before)


def test_episodes_are_those_of_the_model_called_directly(tmp_path):
    """Common start states and noise; the slow twin calls Keras itself. A net of the size used on Hopper."""
    model = net(gaussian, hidden=(64, 64))

    def direct(obs, noise):
        mean, log_std = model(obs)
        return mean + tf.exp(log_std) * noise

    path = save(model, tmp_path / "p", "keras")
    sampler = EpisodeSampler(hopper(path).task, seeds.environments(0, "evaluation_environments", 3), points=2, threads=2)
    try:
        twin = sampler.run(lambda obs, noise: tf.stack([direct(obs[k], noise[k]) for k in range(2)]), 6, 5)
        for probed in (hopper(path), hopper(save(model, tmp_path / "p", "export"))):
            far = probed.theta + floats(*probed.theta.shape)
            found = sampler.run(probed.act, 6, 5, np.stack([probed.theta, far]), noise_kind=probed.noise_kind)
            np.testing.assert_allclose(found.returns[0], twin.returns[0], rtol=1e-5)
            np.testing.assert_array_equal(found.lengths[0], twin.lengths[0])
            assert (found.returns[1] != twin.returns[1]).any()
    finally:
        sampler.close()


# A trained policy


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory):
    """Paths of the trained model and of the same after one more epoch, .keras and exported."""
    folder, paths = tmp_path_factory.mktemp("pendulum"), {}
    for i, model in enumerate(plain_keras.train()):
        paths[i] = save(model, folder / str(i), "keras"), save(model, folder / str(i), "export")
    return paths


@pytest.mark.parametrize("kind", [0, 1])
def test_a_policy_trained_by_plain_keras_plays_as_well_here(pendulum, kind):
    # Over three seeds of training it earned −190 to −220 greedily and −220 to −275 with noise; doing nothing earns −1230.
    probed = foreign.load(pendulum[0][kind], env="Pendulum-v1")
    sampler = EpisodeSampler(probed.task, seeds.environments(0, "evaluation_environments", 16), points=2)
    try:
        thetas = np.stack([probed.theta, 0 * probed.theta])
        for act, noise_kind in ((probed.greedy, None), (probed.act, probed.noise_kind)):
            returns = sampler.run(act, 16, 0, thetas, noise_kind=noise_kind).returns.mean(axis=1)
            assert returns[0] > -450 and returns[1] < -900
    finally:
        sampler.close()


@pytest.mark.parametrize("kind", [0, 1])
def test_the_step_leads_from_one_policy_to_the_next(pendulum, kind):
    first, second = (foreign.load(pendulum[i][kind], env="Pendulum-v1") for i in (0, 1))
    step = foreign.direction(pendulum[1][kind], first)
    assert 0 < np.linalg.norm(step) < np.linalg.norm(first.theta) / 5 and step.dtype == np.float32
    np.testing.assert_allclose(first.theta + step, second.theta, rtol=1e-6, atol=1e-6)
    halfway = first.theta + step / 2
    np.testing.assert_array_equal(foreign.direction(pendulum[1][kind], first, halfway), second.theta - halfway)


def test_both_kinds_are_the_same_policy(pendulum):
    one, other = (foreign.load(path, env="Pendulum-v1") for path in pendulum[0])
    assert one.layout == other.layout and one.metadata == other.metadata
    np.testing.assert_array_equal(one.theta, other.theta)
    obs = floats(5, 3)
    np.testing.assert_allclose(one.parameters(one.theta, obs).mean, other.parameters(one.theta, obs).mean, rtol=1e-5)


# Outputs


def outputs_of(model, obs, tmp_path, env="Hopper-v5", kinds=("keras", "export"), **options):
    """Parameters of the policy as every kind of file gives them, which must be one."""
    found = []
    for kind in kinds:
        probed = foreign.load(save(model, tmp_path / "policy", kind), env=env, **options)
        found.append(probed.parameters(probed.theta, obs))
        for a, b in zip(found[0], found[-1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    return probed, found[0]


@pytest.mark.parametrize("outputs", [gaussian, side_by_side, named])
def test_mean_and_log_std_come_in_several_ways(outputs, tmp_path):
    model, obs = net(outputs), floats(6, S)
    _, found = outputs_of(model, obs, tmp_path)
    heads = keras.Model(model.input, [model.get_layer("mean").output, model.get_layer("log_std").output])
    for theirs, ours in zip(heads(obs), found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_signature_keeps_the_order_of_outputs(tmp_path):
    """It knows them by name, output_0, …, in an order of its own."""
    model, obs = net(gaussian), floats(6, S)
    _, found = outputs_of(model, obs, tmp_path, kinds=["export"], endpoint="serving_default")
    np.testing.assert_allclose(found.mean, model(obs)[0], rtol=1e-5, atol=1e-6)


@keras.saving.register_keras_serializable("tfpg-tests")
class Subclassed(keras.Model):
    """A log_std that is a weight and an output at once; a call that takes no `training`."""

    def __init__(self, **options):
        super().__init__(**options)
        self.head, self.log_std = dense(A), self.add_weight(shape=(A,), name="log_std")

    def call(self, obs):
        return self.head(obs), self.log_std


def test_a_weight_that_is_an_output_is_part_of_theta(tmp_path):
    model, obs = Subclassed(), floats(6, S)
    model(obs)
    probed, found = outputs_of(model, obs, tmp_path)
    assert probed.layout.size == S * A + A + A
    np.testing.assert_allclose(found.log_std, np.tile(model.log_std, (6, 1)))
    np.testing.assert_allclose(probed.parameters(probed.theta + 1, obs).log_std, found.log_std + 1, rtol=1e-5, atol=1e-6)


def test_a_std_is_turned_into_its_logarithm(tmp_path):
    model, obs = net(lambda x: {"mean": dense(A)(x), "std": dense(A, activation="softplus")(x)}), floats(6, S)
    probed, found = outputs_of(model, obs, tmp_path)
    np.testing.assert_allclose(found.log_std, np.log(model(obs)["std"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(probed.pi(probed.theta, obs).stddev(), model(obs)["std"], rtol=1e-5)


def test_a_mean_alone_asks_for_a_log_std(tmp_path):
    model, obs = net(lambda x: dense(A)(x)), floats(6, S)
    _, found = outputs_of(model, obs, tmp_path, log_std=-1.5)
    np.testing.assert_array_equal(found.log_std, np.full((6, A), -1.5))
    with pytest.raises(UserError, match="gives a mean and no log_std: set the option log_std"):
        hopper(tmp_path / "policy.keras")


def test_probabilities_are_logits_after_their_logarithm(tmp_path):
    """The common actor-critic example: softmax and value, without names; and discrete actions act by Gumbel noise."""
    model = net(lambda x: [dense(2, activation="softmax")(x), dense(1)(x)], size=4)
    obs = floats(6, 4)
    probed, _ = outputs_of(model, obs, tmp_path, "CartPole-v1")
    np.testing.assert_allclose(probed.pi(probed.theta, obs).probs_parameter(), model(obs)[0], rtol=1e-5)
    assert probed.noise_kind == "gumbel" and probed.layout.size == 4 * 8 + 8 + 8 * 8 + 8 + 8 * 2 + 2  # no critic's head
    noise = DRAW.gumbel(size=(6, 2)).astype(np.float32)
    actions = probed.act(obs[None], noise[None], probed.theta[None])
    assert actions.dtype == tf.int32
    np.testing.assert_array_equal(actions[0], np.argmax(np.log(model(obs)[0]) + noise, axis=-1))
    np.testing.assert_array_equal(probed.greedy(obs[None], noise[None, :, :0], probed.theta[None])[0],
                                  np.argmax(model(obs)[0], axis=-1))


def test_logits_stay_as_they_are(tmp_path):
    model, obs = net(lambda x: dense(2)(x), size=4), floats(6, 4)
    _, found = outputs_of(model, obs, tmp_path, "CartPole-v1")
    np.testing.assert_allclose(found.logits, model(obs), rtol=1e-5, atol=1e-6)


def test_layers_act_as_in_use_and_not_as_in_training(tmp_path):
    model = net(lambda x: [dense(A)(keras.layers.BatchNormalization()(keras.layers.Dropout(0.5)(x))), dense(A)(x)])
    obs = floats(6, S)
    _, found = outputs_of(model, obs, tmp_path)
    np.testing.assert_allclose(found.mean, model(obs, training=False)[0], rtol=1e-5, atol=1e-6)


def test_frozen_layers_are_no_part_of_theta(tmp_path):
    model = net(gaussian)
    model.layers[1].trainable = False
    probed, _ = outputs_of(model, floats(2, S), tmp_path)
    assert probed.layout.size == sum(np.size(weight) for weight in model.get_weights()) - S * 8 - 8


def test_a_value_head_is_no_part_of_theta(tmp_path):
    probed = hopper(Module().save(tmp_path / "p"))
    assert probed.names == ("log_std", "layers/0/b", "layers/0/w", "layers/1/b", "layers/1/w")


def test_weights_in_double_precision_are_read_too(tmp_path):
    module, obs = Module(dtype=tf.float64), floats(4, S)
    probed = hopper(module.save(tmp_path / "p"))
    assert probed.theta.dtype == np.float32
    np.testing.assert_allclose(probed.pi(probed.theta, obs).mean(), module.forward(obs.astype(np.float64))["mean"],
                               rtol=1e-5, atol=1e-5)


# Endpoints


def test_an_endpoint_is_found_or_named(tmp_path):
    module, obs = Module(), floats(4, S)
    path = module.save(tmp_path / "p", other=lambda obs: {"mean": obs[:, :A] * module.log_std, "log_std": module.log_std})
    np.testing.assert_allclose(hopper(path).parameters(hopper(path).theta, obs).mean, module.forward(obs)["mean"],
                               rtol=1e-5, atol=1e-5)
    other = hopper(path, endpoint="other")
    assert other.layout.size == A and other.provenance()["endpoint"] == "other"
    np.testing.assert_allclose(other.parameters(other.theta, obs).mean, obs[:, :A] * module.log_std, rtol=1e-6)
    with pytest.raises(UserError, match="has no endpoint othr: did you mean other"):
        hopper(path, endpoint="othr")


def test_a_sole_signature_is_the_endpoint_and_of_several_one_must_be_named(tmp_path):
    module = Module()
    signature = tf.function(module.forward, input_signature=[tf.TensorSpec([None, S])])
    tf.saved_model.save(module, str(tmp_path / "one"), signatures={"acting": signature})
    tf.saved_model.save(module, str(tmp_path / "two"), signatures={"acting": signature, "judging": signature})
    tf.saved_model.save(module, str(tmp_path / "none"))
    assert hopper(tmp_path / "one").layout.size == hopper(tmp_path / "two", endpoint="judging").layout.size
    with pytest.raises(UserError, match="choose one of acting, judging with the option endpoint"):
        hopper(tmp_path / "two")
    with pytest.raises(UserError, match="nothing in it can be called"):
        hopper(tmp_path / "none")


# Normalisers


def test_a_normaliser_beside_the_model_stands_before_it(tmp_path):
    model, obs = net(gaussian), floats(6, S)
    mean, std = floats(S), np.exp(floats(S))
    np.savez(tmp_path / "normaliser.npz", mean=mean, std=std, clip=np.float64(0.8))
    _, found = outputs_of(model, obs, tmp_path, normaliser=tmp_path / "normaliser.npz")
    np.testing.assert_allclose(found.mean, model(np.clip((obs - mean) / std, -0.8, 0.8))[0], rtol=1e-4, atol=1e-5)


def test_normalisers_are_told_apart(tmp_path):
    path = save(net(gaussian), tmp_path / "p", "keras")
    np.savez(tmp_path / "one.npz", mean=np.zeros(S), std=np.ones(S))
    np.savez(tmp_path / "two.npz", mean=np.zeros(S), std=np.full(S, 2.0))
    hashes = {hopper(path, normaliser=each).provenance()["normaliser_sha256"]
              for each in (None, tmp_path / "one.npz", tmp_path / "two.npz")}
    assert len(hashes) == 3


@pytest.mark.parametrize(("arrays", "fault"), [
    ({"mean": np.zeros(S)}, "has no array std"),
    ({"mean": np.zeros(4), "std": np.ones(S)}, r"mean of shape \[4\], but Hopper-v5 gives observations of size 11"),
    ({"mean": np.zeros(S), "std": np.zeros(S)}, "std must hold finite numbers above 0"),
    ({"mean": np.full(S, np.nan), "std": np.ones(S)}, "mean must hold finite numbers"),
    ({"mean": np.zeros(S), "std": np.ones(S), "clip": np.ones(S)}, r"clip of shape \[11\]"),
    ({"mean": np.array([None] * S), "std": np.ones(S)}, "damaged"),
])
def test_a_wrong_normaliser_is_named(arrays, fault, tmp_path):
    np.savez(tmp_path / "n.npz", **arrays)
    refused(fault, tmp_path / "absent.keras", normaliser=tmp_path / "n.npz")


# Refusals


def refused(match, path, env="Hopper-v5", **options):
    with pytest.raises(UserError, match=match) as caught:
        foreign.load(path, env=env, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(("kind", "outputs", "env", "fault"), [
    ("export", lambda x: dense(4)(x), "Hopper-v5", "gives an output of size 4, but Hopper-v5 takes actions of size 3"),
    ("keras", lambda x: [dense(4)(x), dense(4)(x)], "Hopper-v5",
     "gives outputs of size 4 and size 4, but Hopper-v5 takes actions of"),
    ("export", lambda x: [dense(A)(x) for _ in range(3)], "Hopper-v5",
     "has 3 outputs of size 3: name two of them mean and log_std"),
    ("keras", lambda x: {"a": dense(A)(x), "b": dense(A)(x)}, "Hopper-v5",
     "has 2 outputs of size 3: name two of them mean and"),
    ("export", lambda x: dense(2)(x), "CartPole-v1",
     "takes observations of size 11, but CartPole-v1 gives observations of size 4"),
    ("keras", lambda x: dense(2)(x), "Acrobot-v1",
     "takes observations of size 11, but Acrobot-v1 gives observations of size 6"),
    ("export", lambda x: keras.layers.Reshape((1, A))(dense(A)(x)), "Hopper-v5", "gives outputs of shape"),
])
def test_models_that_do_not_fit_are_named_with_both_sizes(kind, outputs, env, fault, tmp_path):
    options = {"log_std": 0.0} if "shape" in fault else {}
    refused(fault, save(net(outputs), tmp_path / "p", kind), env, **options)


def test_logits_of_another_number_of_actions_are_refused(tmp_path):
    path = save(net(lambda x: dense(3)(x), size=4), tmp_path / "p", "keras")
    refused("gives an output of size 3, but CartPole-v1 has 2 discrete actions", path, "CartPole-v1")
    path = save(net(lambda x: [dense(2)(x), dense(2)(x)], size=4), tmp_path / "q", "keras")
    refused("has 2 outputs of size 2: name one of them logits", path, "CartPole-v1")
    refused("CartPole-v1 has discrete actions, which have no log_std", path, "CartPole-v1", log_std=0.0)


def test_options_that_do_not_apply_are_refused(tmp_path):
    path = save(net(gaussian), tmp_path / "p", "keras")
    refused("has a log_std of its own: leave the option", path, log_std=0.0)
    refused("log_std=nan is no finite number", path, log_std=np.nan)
    refused("has no endpoint serve: leave the option", path, endpoint="serve")
    refused("there is no task Hoper-v5: did you mean Hopper-v5", path, "Hoper-v5")


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "text.keras").write_text("no zip")
    (tmp_path / "model.h5").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    refused("there is no policy", tmp_path / "absent.keras")
    refused("text.keras is damaged, or no model of Keras 3", tmp_path / "text.keras")
    refused("neither a .keras file nor the directory of a SavedModel", tmp_path / "model.h5")
    refused("it has no saved_model.pb", tmp_path / "folder")


@pytest.mark.parametrize("kind", ["keras", "export"])
def test_damage_is_found_or_leaves_the_policy_as_it_was(kind, tmp_path):
    """One byte in many places: a zip has sums of all it holds, a SavedModel of its variables only."""
    path = save(net(gaussian), tmp_path / "p", kind)
    theta = hopper(path).theta
    data = path if path.is_file() else path / "variables" / "variables.data-00000-of-00001"
    whole = data.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 16).astype(int):
        data.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1:])
        try:
            np.testing.assert_array_equal(hopper(path).theta, theta)
        except UserError as error:
            assert "\n" not in str(error) and "damaged" in str(error)
    data.write_bytes(whole[:-100])
    refused("damaged", path)
    if path.is_dir():
        data.unlink()
        refused("damaged", path)
        (path / "saved_model.pb").write_bytes(b"nothing")
        refused("damaged", path)


class Doubling(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def test_code_in_a_keras_file_is_not_run_and_not_needed_in_an_export(tmp_path):
    for layer, fault in ((keras.layers.Lambda(lambda x: 2 * x), "has a Lambda layer"), (Doubling(), "needs Doubling, Python")):
        model = net(lambda x, layer=layer: layer(dense(A)(x)))
        refused(fault, save(model, tmp_path / "p", "keras"), log_std=0.0)
        probed = hopper(save(model, tmp_path / "p", "export"), log_std=0.0)
        obs = floats(3, S)
        np.testing.assert_allclose(probed.pi(probed.theta, obs).mean(), model(obs), rtol=1e-5, atol=1e-6)


def test_outputs_that_are_drawn_or_mixed_are_refused(tmp_path):
    module = Module()
    drawn = module.save(tmp_path / "drawn", parameters=lambda obs: (
        module.forward(obs)["mean"] + tf.random.normal([tf.shape(obs)[0], A]), module.log_std))
    refused("depend on chance, or on the other observations", drawn)
    mixed = Module()
    refused("depend on chance, or on the other observations", mixed.save(tmp_path / "mixed", parameters=lambda obs: (
        mixed.forward(obs - tf.reduce_mean(obs, 0))["mean"], mixed.log_std)))


def test_a_model_without_weights_or_with_broken_ones_is_refused(tmp_path):
    module = Module()
    refused("has no trainable variables that its outputs depend on", module.save(
        tmp_path / "p", parameters=lambda obs: (obs[:, :A], tf.zeros([A]))))
    module = Module()
    module.log_std.assign([0, np.nan, 0])
    refused("has weights that are not finite", module.save(tmp_path / "q"))


def test_other_inputs_are_refused(tmp_path):
    inputs = [keras.Input((S,), name="obs"), keras.Input((2,), name="state")]
    model = keras.Model(inputs, dense(A)(keras.layers.Concatenate()(inputs)))
    for kind in ("keras", "export"):
        refused("takes 2 inputs where|cannot be called with .* for it takes", save(model, tmp_path / "p", kind), log_std=0.0)
    refused("serving_default takes obs, state where observations", tmp_path / "p", log_std=0.0, endpoint="serving_default")
    one_by_one = Module()
    one_by_one.forward = tf.function(one_by_one.forward, input_signature=[tf.TensorSpec([1, S])])
    tf.saved_model.save(one_by_one, str(tmp_path / "q"))
    refused(r"cannot be called with \[B, 11\], .* for it takes \[1, 11\]", tmp_path / "q", endpoint="forward")


# Steps


@pytest.fixture(scope="module")
def hoppers(tmp_path_factory):
    return hopper(save(net(gaussian), tmp_path_factory.mktemp("hopper") / "p", "export"))


def test_a_step_is_read_from_a_file(hoppers, tmp_path):
    step = floats(hoppers.layout.size)
    np.save(tmp_path / "a.npy", step.astype(np.float64))
    np.savez(tmp_path / "b.npz", step=step, more=np.zeros(2))
    for name in ("a.npy", "b.npz"):
        found = foreign.direction(tmp_path / name, hoppers)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, step)


@pytest.mark.parametrize(("array", "fault"), [
    (lambda size: np.zeros(size - 1), r"has a step of shape \[.*\], but the policy has .* parameters"),
    (lambda size: np.zeros((size, 1)), "has a step of shape"),
    (lambda size: np.full(size, np.inf), "not finite"),
    (lambda size: np.full(size, 1e300), "not finite"),
    (lambda size: np.zeros(size, int), "numbers of type int64"),
    (lambda size: np.array([None] * size), "damaged"),
])
def test_a_wrong_step_is_named(hoppers, array, fault, tmp_path):
    array = array(hoppers.layout.size)
    np.save(tmp_path / "s.npy", array)
    np.savez(tmp_path / "s.npz", step=array)
    np.savez(tmp_path / "t.npz", theta=array)
    for name in ("s.npy", "s.npz"):
        with pytest.raises(UserError, match=fault):
            foreign.direction(tmp_path / name, hoppers)
    with pytest.raises(UserError, match="has no array step|damaged"):
        foreign.direction(tmp_path / "t.npz", hoppers)
    with pytest.raises(UserError, match="no such file"):
        foreign.direction(tmp_path / "absent.npy", hoppers)


def test_there_is_no_step_to_a_policy_of_another_make(hoppers, tmp_path):
    wider = save(net(gaussian, hidden=(8, 9)), tmp_path / "wider", "export")
    with pytest.raises(UserError, match="parameters in variables of other shapes"):
        foreign.direction(wider, hoppers)
    inputs = keras.Input((S,))
    other = keras.Model(inputs, gaussian(dense(8, activation="relu")(dense(8, activation="relu")(inputs))))
    with pytest.raises(UserError, match="is another policy than"):
        foreign.direction(save(other, tmp_path / "relu", "export"), hoppers)


def test_a_step_between_policies_of_tfpg(tmp_path):
    made = handmade.Made(handmade.config("CartPole-v1", algorithm=Ppo(minibatches=2)))
    first = probe.load(made.save(tmp_path / "first"))
    other = made.iteration.before._replace(theta=made.iteration.update.learner.theta)
    made.iteration = made.iteration._replace(before=other)
    np.testing.assert_array_equal(foreign.direction(made.save(tmp_path / "second"), first), other.theta - first.theta)
    np.save(tmp_path / "step.npy", first.theta)
    np.testing.assert_array_equal(foreign.direction(tmp_path / "step.npy", first), first.theta)
    normalised = first._replace(metadata={**first.metadata, "normaliser_sha256": "of another one"})
    with pytest.raises(UserError, match="under another normaliser .*: use --to"):
        foreign.direction(tmp_path / "second", normalised)
    with pytest.raises(UserError, match="parameters in variables of other shapes"):
        foreign.direction(tmp_path / "second", first._replace(theta=first.theta[1:]))


def test_kinds_are_told_apart(hoppers, pendulum, tmp_path):
    assert foreign.is_foreign(hoppers.path) and foreign.is_foreign(pendulum[0][0]) and foreign.is_foreign("absent.keras")
    assert not foreign.is_foreign(tmp_path)
    shutil.copytree(hoppers.path, tmp_path / "ours")
    (tmp_path / "ours" / sums.METADATA).touch()
    assert not foreign.is_foreign(tmp_path / "ours")


def test_provenance_names_what_was_measured(hoppers):
    facts, other = hoppers.provenance(), hoppers.provenance(hoppers.theta + 1)
    assert (facts["task"], facts["algorithm"], facts["theta"], other["theta"]) == ("Hopper-v5", "foreign", "theta", "given")
    assert facts["policy"] == str(hoppers.path) and facts["theta_sha256"] != other["theta_sha256"]
    np.testing.assert_allclose(facts["theta_norm"], np.linalg.norm(hoppers.theta))
