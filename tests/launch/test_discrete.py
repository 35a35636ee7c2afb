"""Discrete actions through every instrument: finite, labelled and sensible, for each algorithm; nothing of a Gaussian in it."""

import importlib.util

import numpy as np
import pytest

from launch import claims, evaluate, gradients, landscape, report, steps, trust_region, values
from tests.launch import test_gradients, test_steps, test_values
from tests.launch.grounds import PLAYED, TINY, command, trained
from tfpg.diagnostics import probe, results
from tfpg.report import metrics
from tfpg.run_directory import RunDirectory

TASK = "CartPole-v1"  # two actions; a reward of 1 a step: an episode's return is its length, 1 to 500
ALGORITHMS = ("trpo", "ppo", "ppo_m")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of three iterations by algorithm, made when it is asked for."""
    directory, made = tmp_path_factory.mktemp("discrete"), {}

    def run(algo):
        if algo not in made:
            made[algo] = trained(directory / algo, algo, TASK)
        return made[algo]

    return run


def looked(launcher, *arguments):
    code, out, err = command(launcher, *map(str, arguments))
    assert code == 0 and "Traceback" not in err and "Warning" not in err, err
    return out


def check(path, algo, *names):
    """A stored result, finite and labelled. Args: names: of what has to be finite; none: everything."""
    found = results.load(path)
    assert (found.attrs["task"], found.attrs["preset"], found.attrs["run_seed"]) == (TASK, algo, 0)
    assert not any("log_std" in str(name) or "policy_std" in str(name) for name in found.variables)
    for name in names or [name for name, variable in found.variables.items() if variable.dtype.kind == "f"]:
        assert np.isfinite(found[name].values).all(), name
    return found


def log_probs(logits):
    """log π(a|s) by NumPy."""
    logits = np.asarray(logits, np.float64).reshape(-1, 2)
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def assert_categorical(run, algo):
    """The metrics of the last iteration are those of two categorical distributions."""
    rows = metrics.of_run(RunDirectory(run))
    assert [row["iteration"] for row in rows] == [0, 1, 2]
    assert not any(name == "policy/std" or "log_std" in name for row in rows for name in row)
    assert all(np.all(np.isfinite(number)) for row in rows for number in row.values())
    last, subject = rows[-1], probe.load(run / "policies/000002")
    old, new = (log_probs(subject.model.parameters_at(theta, subject.trajectory.obs.reshape(-1, 4))) for theta in (subject.theta, subject.theta_next))
    assert old.shape == (256, 2)
    kl = (np.exp(old) * (old - new)).sum(-1)  # Σ_a π_old(a|s) (log π_old − log π)(a|s)
    assert last["trust_region/train/mean_kl"] == pytest.approx(kl.mean(), rel=1e-3, abs=1e-7)
    assert last["trust_region/train/max_kl"] == pytest.approx(kl.max(), rel=1e-3, abs=1e-6)
    actions = np.asarray(subject.trajectory.actions).reshape(-1)
    assert set(np.unique(actions)) <= {0, 1}
    ratios = np.exp(new - old)[np.arange(256), actions]
    assert last["trust_region/train/max_ratio"] == pytest.approx(ratios.max(), rel=1e-3)
    entropies = [-(np.exp(each) * each).sum(-1).mean() for each in (old, new)]
    assert min(abs(last["policy/entropy"] - entropy) for entropy in entropies) < 1e-4 and max(entropies) <= np.log(2) + 1e-9


def test_ppo_m_is_trained_and_evaluated_on_discrete_actions(runs):
    run = runs("ppo_m")
    assert_categorical(run, "ppo_m")
    looked(evaluate, f"--policy={run}/policies/000002", "--episodes=8")
    found = check(run / "diagnostics/evaluation-000002.nc", "ppo_m")
    np.testing.assert_array_equal(found["episode_return"], found["episode_length"])


@pytest.mark.long
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_its_metrics_are_those_of_two_categorical_distributions(algo, runs):
    assert_categorical(runs(algo), algo)


@pytest.mark.long
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_evaluation_and_a_film(algo, runs, tmp_path):
    video = [f"--video={tmp_path}/film.mp4"] if importlib.util.find_spec("pygame") else []
    looked(evaluate, f"--policy={runs(algo)}/policies/000000", "--episodes=8", f"--output={tmp_path}", *video)
    found = check(tmp_path / "evaluation-000000.nc", algo)
    np.testing.assert_array_equal(found["episode_return"], found["episode_length"])
    assert not video or (tmp_path / "film.mp4").stat().st_size > 1000


@pytest.mark.long
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_surface_of_a_landscape(algo, runs):
    run = runs(algo)
    looked(landscape, *TINY, f"--policy={run}/policies/000002", f"--to={run}/iterates/000003.npz")
    directory = run / "diagnostics/landscapes/000002-smoke"
    finite = {"surrogate": ("surrogate", "mean_kl"), "slices": ("slope", "mean_return"), "updates": ("gain", "gain_low", "gain_high")}
    found = {name: check(directory / f"{name}.nc", algo, *finite.get(name, ("mean_return", "mean_return_stderr"))) for name in (*PLAYED, "film")}
    for name in ("return", "slices", "film"):
        assert 1 <= float(found[name]["mean_return"].min()) <= float(found[name]["mean_return"].max()) <= 500, name
    np.testing.assert_allclose(found["surrogate"]["surrogate"].sel(x=0, y=0), 0, atol=1e-6)
    assert (found["surrogate"]["mean_kl"] >= 0).all() and float(found["surrogate"]["mean_kl"].sel(x=0, y=0).max()) < 1e-6


@pytest.mark.long
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_gradients_of_categorical_policies(algo, runs):
    run = runs(algo)
    looked(gradients, *test_gradients.TINY, f"--policy={run}/policies/000000")
    found = check(run / "diagnostics/gradients/000000-smoke/gradients.nc", algo, "size")
    for name in ("cosine", "chance_cosine"):
        cosine = found[name].isel(kind=0).values  # of gradients at every size; of steps at those that were asked for
        assert np.isfinite(cosine).all() and (abs(cosine) <= 1).all(), name


@pytest.mark.long
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_values_of_a_task_with_discrete_actions(algo, runs):
    run = runs(algo)
    looked(values, *test_values.TINY, f"--policy={run}/policies/000000")
    # The noise scale is infinite where an estimate of the squared gradient is not above 0.
    found = check(run / "diagnostics/values/000000-smoke/values.nc", algo, "mre", "explained_variance", "variance")
    assert (found["explained_variance"] <= 1).all() and (found["variance"] >= 0).all()


@pytest.mark.long
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_trust_regions_of_categorical_policies(algo, runs):
    run = runs(algo)
    looked(trust_region, f"--run={run}", "--heldout_every=1")
    found = check(run / f"diagnostics/trust_region/{algo}.nc", algo, "mean_kl", "max_kl", "mean_reverse_kl", "max_ratio", "min_ratio")
    assert (found["mean_kl"] >= 0).all() and (found["mean_kl"] <= found["max_kl"]).all() and (found["max_ratio"] >= 1).all()
    last = metrics.of_run(RunDirectory(run))[-1]
    assert float(found["mean_kl"].sel(pool="train")[-1]) == last["trust_region/train/mean_kl"]


@pytest.mark.long
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_steps_of_a_task_with_discrete_actions(algo, runs):
    run = runs(algo)
    looked(steps, f"--run={run}", *test_steps.QUICK)
    found = check(run / "diagnostics/steps/smoke/steps.nc", algo, "gain", "mean_return")
    np.testing.assert_array_equal(found["mean_return"], found["mean_length"])


@pytest.mark.long
def test_claims_and_the_report_take_what_was_found(runs, tmp_path):
    for algo in ALGORITHMS:  # also where this test is run alone
        looked(trust_region, f"--run={runs(algo)}", "--heldout_every=1")
        looked(steps, f"--run={runs(algo)}", *test_steps.QUICK)
    given = [f"--dir={runs(algo)}" for algo in ALGORITHMS]
    out = looked(claims, *given)
    assert out.startswith("3 runs") and "nan" not in out.lower().split()
    known = ("has settings of its own", "none near 2048")  # these runs' settings; sizes of gradients that other tests may have looked at
    assert not [line for line in out.splitlines() if line.startswith("passed over") and not any(each in line for each in known)]
    for algo in ALGORITHMS:
        assert f"{algo} on {TASK}" in out
    assert "missing or passed over: " + str(tmp_path) not in looked(report, *given, f"--output={tmp_path}/page")
    page = (tmp_path / "page/report.html").read_text()
    assert TASK in page and "is damaged" not in page and "no chapter on" not in page
