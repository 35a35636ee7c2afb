"""Predictions: the update as training makes it, targets against slow twins, errors that vanish where there are none."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import linear_quadratic as lq
from tests.diagnostics import linear_probe
from tests.oracles import gae
from tfpg import seeds, snapshot
from tfpg.config import Config, Network, Ppo, Rollout, Runtime, Trpo, Value
from tfpg.diagnostics import blocks
from tfpg.diagnostics import probe as probes
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.statistics.estimates import Estimate
from tfpg.diagnostics.values import fit_pools, fitting, judgements, predictions
from tfpg.numerics.errors import explained_variance, relative_error
from tfpg.training import Training

RUNS = {"trpo": Config(env=lq.TASK, algorithm=Trpo()), "ppo, discrete": Config(env="CartPole-v1", algorithm=Ppo()),
        "ppo, shared": Config(env="Pendulum-v1", algorithm=Ppo(shared_weights=True, epochs=2, minibatches=4)),
        "returns": Config(env=lq.TASK, algorithm=Trpo(), value=Value(target="returns"))}
SEPARATE = ["trpo", "ppo, discrete", "returns"]


@pytest.fixture(scope="module")
def probe_of(tmp_path_factory):
    """Probes of real runs of two iterations."""
    made = {}

    def get(name):
        if name not in made:
            of, base = dataclasses.replace, RUNS[name]
            config = of(base, seed=3, total_steps=512, network=Network(hidden=(16,)), runtime=Runtime(xla=False),
                        rollout=Rollout(num_steps=256, num_envs=8), value=of(base.value, epochs=2, minibatches=4))
            path = tmp_path_factory.mktemp("policies") / "000001"
            with Training(config) as training:
                writer = snapshot.Writer(config, training.task, training.agent.policy, training.agent.value)
                writer.save(path, list(training)[-1])
            made[name] = probes.load(path)
        return made[name]

    return get


def true_of(probe):
    value = fitting.network(probe, 3)
    return value, np.asarray(value.initial_phi())


@pytest.fixture(scope="module")
def rows_of(probe_of):
    made = {}
    return lambda name: made.setdefault(name, predictions.rows(probe_of(name), true_of(probe_of(name)), repeats=3, seed=5))


# The update


@pytest.mark.parametrize("name", SEPARATE)
def test_the_update_repeated_from_the_stored_batch_is_the_stored_one_bit_for_bit(name, probe_of):
    probe = probe_of(name)
    stream = seeds.generator(probe.config.seed, "value_minibatches", probe.iteration)
    np.testing.assert_array_equal(predictions.ValueUpdates(probe).fitted(probe.batch, stream), probe.phi_next)
    assert not np.array_equal(probe.phi, probe.phi_next)


def test_with_shared_weights_v_moves_as_the_policy_does(probe_of):
    probe = probe_of("ppo, shared")
    with blocks.Blocks(probe, 10, 256, count=1, seed=5) as read:
        moved = predictions.ValueUpdates(probe)(read[0].cut, 0, seed=5)
    assert moved.shape == probe.theta.shape and not np.array_equal(moved, probe.theta)


def test_repeats_have_orders_of_their_own(probe_of):
    probe = probe_of("trpo")
    update = predictions.ValueUpdates(probe)
    a, b, again = (update.fitted(probe.batch, update.stream(number, 5)) for number in (0, 1, 0))
    assert not np.array_equal(a, b) and np.array_equal(a, again)


# Targets


@pytest.mark.parametrize("name", SEPARATE)
def test_targets_are_v_old_plus_gae_and_the_returns_of_slow_twins(name, probe_of, rows_of):
    probe, rows = probe_of(name), rows_of(name)
    config = probe.config
    with blocks.Blocks(probe, predictions.HELDOUT_STREAM, 256, count=3, seed=5) as read:
        block = read[1]
    cut = block.cut
    ended = cut.terminated | cut.truncated
    made = blocks.prepared(probe, cut, probe.phi, predictions.ValueUpdates(probe).networks.value)
    after = blocks.prepared(probe, cut._replace(obs=cut.successors, episode_step=cut.episode_step + 1), probe.phi,
                            predictions.ValueUpdates(probe).networks.value).values
    expected = gae(cut.rewards, made.values[:, None], after[:, None], ended, ended,  # a time limit counts as terminal
                   gamma=config.advantages.gamma, lam=config.advantages.lam)[:, 0] + made.values
    heldout = list(predictions.JUDGED).index("heldout")
    np.testing.assert_allclose(rows.targets[heldout, 0, 1], expected, rtol=2e-4, atol=2e-4)
    np.testing.assert_array_equal(rows.targets[heldout, 1, 1], block.returns[:256])
    np.testing.assert_array_equal(rows.kept[heldout, 1], ~ended[:, 0])


def test_the_run_and_the_old_v_are_judged_beside_the_repeats(probe_of, rows_of):
    probe, rows = probe_of("trpo"), rows_of("trpo")
    with blocks.Blocks(probe, predictions.HELDOUT_STREAM, 256, count=3, seed=5) as read:
        cut = read[0].cut
    v = predictions.ValueUpdates(probe).networks.value
    obs = tf.constant(blocks.prepared(probe, cut, probe.phi, v).critic_obs)
    for name, phi in (("run", probe.phi_next), ("before", probe.phi)):
        judged = rows.values[list(predictions.JUDGED).index(name), 0]
        np.testing.assert_allclose(judged, v(tf.constant(phi), obs), rtol=1e-5, atol=1e-6)


def test_train_and_heldout_pairs_are_others(rows_of):
    targets = rows_of("trpo").targets[:, 1]
    assert len(np.unique(targets[:2])) == targets[:2].size  # returns of continuous states: no two alike


@pytest.mark.parametrize("name", ["ppo, shared", "returns"])
def test_every_kind_of_run_can_be_judged(name, rows_of):
    found = predictions.judge(rows_of(name))
    for field in ("mre", "explained_variance", "bias"):
        assert np.isfinite(getattr(found, field).mean).all() and np.shape(getattr(found, field).mean) == (5, 2)
    assert np.isfinite(predictions.excess(rows_of(name)).mean).all()


# Numbers


def test_predictions_of_the_truth_have_no_error_and_explain_all():
    targets = np.random.default_rng(0).normal(size=200)
    found = judgements.judged(values=targets, targets=targets, kept=np.ones(200, bool), clusters=np.arange(200) // 10)
    assert (found.mre.mean, found.bias.mean, found.explained_variance.mean) == (0, 0, 1)


def test_numbers_are_those_of_the_field_whatever_the_clusters():
    draw = np.random.default_rng(0)
    v, targets = draw.normal(size=(2, 300)) + 1
    kept = draw.random(300) < 0.9
    found = judgements.judged(values=v, targets=targets, kept=kept, clusters=np.arange(300) // 7)
    error = relative_error(values=v[kept], targets=targets[kept])
    assert found.mre.mean == pytest.approx(error.mean) and found.floored == error.floored
    assert found.explained_variance.mean == pytest.approx(explained_variance(values=v, targets=targets))
    assert found.bias.mean == pytest.approx(np.mean(v - targets)) and found.bias.count == 43


def test_explained_variance_has_its_arguments_the_right_way_round():
    # V = t/2: 1 − Var(t/2)/Var(t) = 3/4; swapped 1 − Var(t/2)/Var(t/2) = 0
    targets = np.random.default_rng(0).normal(size=100)
    found = judgements.explained_variances(values=targets / 2, targets=targets, clusters=np.arange(100))
    assert found.mean == pytest.approx(0.75)
    with pytest.raises(TypeError):
        judgements.explained_variances(targets / 2, targets, np.arange(100))


def test_explained_variance_leaves_each_cluster_out_once():
    draw = np.random.default_rng(1)
    targets, clusters = draw.normal(size=60), np.arange(60) // 6
    v = targets + 0.5 * draw.normal(size=60)
    found = judgements.explained_variances(values=v, targets=targets, clusters=clusters)
    without = np.array([explained_variance(values=v[clusters != c], targets=targets[clusters != c]) for c in range(10)])
    assert found.stderr == pytest.approx(np.sqrt(0.9 * np.square(without - without.mean()).sum()))
    assert found.low < found.mean < found.high < 1


def test_intervals_of_relative_errors_stay_above_zero():
    found = judgements.positive(Estimate(*map(np.asarray, (0.3, 0.2, -0.1, 0.7, 8))))
    assert 0 < found.low < 0.3 < found.high and (found.mean, found.stderr) == (0.3, 0.2)


@pytest.mark.long
@pytest.mark.parametrize("count", [8, 16])
def test_intervals_cover(count):
    # 400 simulations: the share's own standard error is 1 to 2 %
    draw, truth, hits = np.random.default_rng(0), None, np.zeros(2)
    for episodes, runs in ((40_000, 1), (count, 400)):
        for _ in range(runs):
            t = np.arange(50) / 50
            v = np.tile(2 + np.sin(3 * t), (episodes, 1))
            luck = -1.5 * (draw.random((episodes, 1)) < 0.3) * t**4
            targets = v + 0.3 * draw.normal(size=(episodes, 1)) + luck + 0.1 * draw.normal(size=v.shape)
            found = judgements.judged(values=v.ravel(), targets=targets.ravel(), kept=np.ones(v.size, bool),
                                  clusters=np.repeat(np.arange(episodes), 50))
            if truth is None:
                truth = found.mre.mean, found.explained_variance.mean
            else:
                both = found.mre, found.explained_variance
                hits += [each.low <= true <= each.high for each, true in zip(both, truth, strict=True)]
    assert (hits / 400 > (0.86, 0.91)).all()


# Going on


def test_repeats_that_are_done_are_read_and_the_rest_is_the_same_to_the_bit(probe_of, rows_of, tmp_path):
    probe = probe_of("trpo")

    def kill(pairs, played):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predictions.rows(probe, true_of(probe), repeats=3, seed=5, parts=Parts(tmp_path), progress=kill)
    said = []
    again = predictions.rows(probe, true_of(probe), repeats=3, seed=5, parts=Parts(tmp_path), progress=lambda *each: said.append(each))
    assert said == [(512, False), (512, True), (512, True)]
    for one, other in zip(again, rows_of("trpo"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_on_the_linear_quadratic_task_v_star_predicts_the_returns_better_than_a_net_nobody_trained(untrained):
    probe = linear_probe.linear(untrained(linear_probe.config()))
    fit = fitting.fit(probe, fit_pools.pool_of(probe, 20_000, seed=3), seed=3)
    found = predictions.judge(predictions.rows(probe, (fit.value, fit.phi), repeats=20, seed=3))
    names, returns = list(predictions.JUDGED), predictions.TARGETS.index("returns")
    for field, sign in (("mre", 1), ("explained_variance", -1)):
        before, true = (getattr(found, field).mean[names.index(name), returns] for name in ("before", "true"))
        assert sign * before > sign * true
    # an unbiased V* cannot be told from the mean of the returns
    bias = found.bias
    assert bias.low[names.index("true"), returns] < 0.02 and bias.high[names.index("true"), returns] > -0.02
