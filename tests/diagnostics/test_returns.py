"""What many θ earn: intervals that hold the truth, and the same bits whatever was killed, stored or played beside."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.diagnostics import handmade
from tests.diagnostics.draws import covered
from tests.diagnostics.subjects import AT_LQ, BIMODAL, ENDLESS, Linear, falling
from tfpg import seeds, snapshot
from tfpg.config import Ppo
from tfpg.diagnostics import evaluation, returns
from tfpg.diagnostics.returns import NUM_ENVS, Job, Store, play
from tfpg.diagnostics.statistics import estimates
from tfpg.envs import episodes as episodes_module
from tfpg.envs.episodes import EpisodeResults
from tfpg.errors import UserError

ROOT = Path(__file__).parents[2]
GRID = AT_LQ + np.array([[0, 0, 0], [0.1, 0, 0], [-0.4, 0.5, 0.2], [0.5, -0.2, -1]], np.float32)  # θ_k and three others


@pytest.fixture(scope="module")
def linear():
    return Linear()


@pytest.fixture(scope="module", params=["Hopper-v5", "CartPole-v1"])
def probed(request, untrained):
    return untrained(handmade.config(request.param, algorithm=Ppo(minibatches=2)))


@pytest.fixture
def short_units(monkeypatch):
    """Units of one round of the environments, and of two points."""
    monkeypatch.setattr(returns, "UNIT_PAIRS", 1)
    monkeypatch.setattr(returns, "SLOTS", 2 * NUM_ENVS)


def independent(thetas, episodes, seed=0, numbers=None, **options):
    numbers = range(len(thetas)) if numbers is None else numbers
    return Job(thetas, episodes, seed, "independent", tuple((9, n) for n in numbers), **options)


def assert_equal(a, b):
    for left, right in zip(a, b, strict=True):
        np.testing.assert_array_equal(left, right)


def points(results, select):
    return EpisodeResults(*(array[select] for array in results))


class Units:
    """What was told about each unit; can press Ctrl-C after one of them."""

    def __init__(self, interrupt_after=None):
        self.told, self._last = [], interrupt_after

    def __call__(self, episodes, pairs, seconds):
        self.told.append((episodes, pairs, seconds))
        if len(self.told) == self._last:
            raise KeyboardInterrupt

    @property
    def played(self):
        return [seconds > 0 for _, _, seconds in self.told]


# --- what is measured -----------------------------------------------------------------------------------------------


def blocks(played, size):
    """[n, M] → [M / size, n, size]: as many experiments of their own."""
    return played.returns.reshape(len(played.returns), -1, size).swapaxes(0, 1)


def gained(found, paired):
    """Gains of all points but the first over the first, in each experiment."""
    if paired:
        return estimates.differences(found[:, 1:] - found[:, :1], np.zeros(found.shape[-1]))
    gains = [estimates.unpaired_differences(each[1:], each[0]) for each in found]
    return estimates.Estimate(*(np.stack(column) for column in zip(*gains, strict=True)))


def assert_covers(share, experiments):
    """At least .90 of nominal 95 % intervals hold the truth: not two standard errors of so many experiments below."""
    assert share >= 0.9 - 2 * np.sqrt(0.9 * 0.1 / experiments)


@pytest.mark.parametrize(("env", "grid"), [
    ("quadratic", GRID[:3]), ("bimodal", np.stack([falling(fall) for fall in (0.2, 0.5, 0.1)]))])
def test_the_intervals_of_returns_and_gains_hold_the_truth(env, grid, linear):
    subject = linear if env == "quadratic" else Linear(BIMODAL)
    truth = subject.mean_return(grid)
    for noise in ("common", "independent"):
        job = Job(grid, 3600, 1, "common") if noise == "common" else independent(grid, 3600)
        played = play(subject, job)
        for size in (60, 120):
            found = blocks(played, size)
            # with numbers of their own the points are experiments of their own
            assert_covers(covered(estimates.means(found), truth), len(found) * (1 if noise == "common" else len(grid)))
            assert_covers(covered(gained(found, paired=noise == "common"), truth[1:] - truth[0]), len(found))


def test_common_numbers_make_differences_sharper(linear):
    truth = linear.mean_return(GRID)
    common, own = play(linear, Job(GRID[:2], 320, 2)), play(linear, independent(GRID[:2], 320))
    paired = estimates.differences(common.returns, common.returns[0])
    unpaired = estimates.unpaired_differences(own.returns, own.returns[0])
    assert paired.stderr[1] < unpaired.stderr[1] / 4
    assert paired.mean[1] == pytest.approx(truth[1] - truth[0], abs=4 * paired.stderr[1])


def test_theta_k_earns_what_it_earns_in_an_evaluation_with_the_same_seed(probed):
    # 40 episodes: some environments have a second start
    found = play(probed, Job(np.stack([probed.theta_next, probed.theta]), 40, 4))
    expected = evaluation.evaluate(probed, episodes=40, seed=4).dataset.sel(policy="stochastic")
    np.testing.assert_array_equal(found.returns[1], expected["episode_return"])
    np.testing.assert_array_equal(found.lengths[1], expected["episode_length"])
    assert not np.array_equal(found.returns[0], found.returns[1])


def test_a_task_without_a_time_limit_is_cut_and_says_so():
    thetas = AT_LQ[np.newaxis]
    for max_steps, length in ((None, returns.LIMIT), (7, 7)):
        found = play(Linear(ENDLESS), Job(thetas, 2, 0, max_steps=max_steps))
        assert (found.lengths == length).all() and found.cut.all()
    assert not play(Linear(), Job(thetas, 2, 0)).cut.any()


def test_the_first_look_knows_length_and_return_and_is_nobody_elses(linear):
    found = returns.pilot(linear, 5)
    assert (found.mean_length, found.length_stderr, found.episodes) == (8, 0, 128)
    assert abs(found.mean_return - linear.mean_return(AT_LQ)) < 4 * found.std / np.sqrt(128)
    assert [found.episodes_for(pairs) for pairs in (1, 16, 17, 800, 801)] == [2, 2, 3, 100, 101]
    assert found.pairs_per_second > 0
    again = returns.pilot(linear, 5)
    assert again._replace(pairs_per_second=0) == found._replace(pairs_per_second=0)
    assert returns.pilot(linear, 6).mean_return != found.mean_return
    # neither evaluation's episodes nor those of a point of its own
    for job in (Job(AT_LQ[np.newaxis], 128, 5), independent(AT_LQ[np.newaxis], 128, 5)):
        assert play(linear, job).returns.mean() != found.mean_return


# --- the same again, whatever happens -------------------------------------------------------------------------------


@pytest.mark.parametrize("probed", ["Hopper-v5"], indirect=True)
def test_two_runs_are_identical_with_a_store_or_without_and_by_any_number_of_threads(probed, tmp_path):
    thetas = np.stack([probed.theta, probed.theta_next])
    for job in (Job(thetas, 40, 3), independent(thetas, 40)):
        first = play(probed, job, threads=2)
        for other in (play(probed, job, threads=1), play(probed, job, store=Store(tmp_path)),
                      play(probed, job, store=Store(tmp_path))):
            assert_equal(first, other)


@pytest.mark.parametrize("noise", ["common", "independent"])
def test_a_killed_run_goes_on_with_the_same_bits(noise, linear, tmp_path, short_units):
    job = Job(GRID[:3], 70, 2) if noise == "common" else independent(GRID[:3], 70)
    whole = play(linear, job, progress=(told := Units()))
    # points 0 and 1 together, then 2; episodes 0…31, 32…63, 64…69. Everything they earn is negative.
    assert [episodes for episodes, _, _ in told.told] == [64, 64, 12, 32, 32, 6]
    assert [pairs for _, pairs, _ in told.told] == [8 * episodes for episodes, _, _ in told.told]
    assert (whole.returns < 0).all()
    for done in (1, 3, 5):
        store = Store(tmp_path / str(done))
        with pytest.raises(KeyboardInterrupt):
            play(linear, job, store=store, progress=Units(interrupt_after=done))
        assert len(list(store.directory.iterdir())) == done
        assert_equal(play(linear, job, store=store, progress=(told := Units())), whole)
        assert told.played == [False] * done + [True] * (6 - done)


@pytest.mark.parametrize("noise", ["common", "independent"])
def test_how_the_work_is_cut_changes_no_episode(noise, linear, monkeypatch):
    job = Job(GRID, 70, 2) if noise == "common" else independent(GRID, 70)
    whole = play(linear, job, progress=(told := Units()))  # in one piece
    assert len(told.told) == 1 and len(np.unique(whole.returns[0])) == 70
    monkeypatch.setattr(returns, "UNIT_PAIRS", 1)
    for slots in (1, 2, 3):
        monkeypatch.setattr(returns, "SLOTS", slots * NUM_ENVS)
        assert_equal(play(linear, job, progress=(told := Units())), whole)
        assert len(told.told) == 3 * -(-len(GRID) // slots)


def test_several_kills_in_a_row_and_units_in_any_order_change_nothing(linear, tmp_path, short_units):
    job, store = Job(GRID, 70, 2), Store(tmp_path)
    whole = play(linear, job)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            play(linear, job, store=store, progress=Units(interrupt_after=2))
    play(linear, job, store=store)
    for file in sorted(tmp_path.iterdir())[::2]:
        file.unlink()
    assert_equal(play(linear, job, store=store, progress=(told := Units())), whole)
    assert sum(told.played) == 3


def test_more_episodes_later_begin_with_those_that_are_there(linear, tmp_path, short_units):
    store = Store(tmp_path)
    few = play(linear, Job(GRID[:2], 64, 2), store=store)
    many = play(linear, Job(GRID[:2], 96, 2), store=store, progress=(told := Units()))
    assert told.played == [False, False, True]
    assert_equal(points(many, (slice(None), slice(64))), few)


@pytest.mark.parametrize("changed", ["another shape", "no returns"])
def test_a_file_that_is_no_unit_of_these_points_is_named_and_never_used(changed, linear, tmp_path):
    job, store = Job(GRID[:2], 8, 2), Store(tmp_path)
    found = play(linear, job, store=store)
    (file,) = tmp_path.iterdir()
    # of one point: NumPy would spread it over both
    arrays = {name: array[:1] for name, array in found._asdict().items()}
    if changed == "no returns":
        arrays = {"lengths": found.lengths, "cut": found.cut}
    np.savez(file, **arrays)
    with pytest.raises(UserError, match=f"{file.name} is damaged"):
        play(linear, job, store=store)


def test_what_a_unit_depends_on_names_it(linear, tmp_path):
    base = {"thetas": GRID[:2], "episodes": 6, "seed": 2, "noise": "common"}
    other_normaliser = Linear()
    other_normaliser.provenance = lambda: {**linear.provenance(), "normaliser_sha256": "other"}
    jobs = [
        (linear, Job(**base)), (linear, Job(**{**base, "seed": 3})), (linear, Job(**{**base, "episodes": 7})),
        (linear, Job(**{**base, "thetas": GRID[1:3]})), (linear, Job(**{**base, "thetas": GRID[[1, 0]]})),
        (linear, Job(**{**base, "max_steps": 5})), (linear, independent(GRID[:2], 6, 2)),
        (linear, independent(GRID[:2], 6, 2, numbers=(0, 2))), (linear, independent(GRID[:2], 6, 3)),
        (other_normaliser, Job(**base))]
    store, played = Store(tmp_path), []
    for number, (subject, job) in enumerate(jobs, start=1):
        played.append(play(subject, job, store=store, progress=(told := Units())))
        assert told.played == [True]
        assert len(list(tmp_path.iterdir())) == number
    # all of them again, from one directory: nobody gets another's
    for (subject, job), expected in zip(jobs, played, strict=True):
        assert_equal(play(subject, job, store=store, progress=(told := Units())), expected)
        assert told.played == [False]
    kept = [result.returns.tobytes() for result in played]
    assert len(set(kept)) == len(jobs) - 1  # the last differs by its name alone


def test_where_the_policy_lies_does_not_name_its_units(linear, tmp_path):
    moved = Linear()
    moved.path = Path("/elsewhere")
    play(linear, Job(GRID[:1], 6, 2), store=Store(tmp_path))
    play(moved, Job(GRID[:1], 6, 2), store=Store(tmp_path), progress=(told := Units()))
    assert told.played == [False]


# --- points among others --------------------------------------------------------------------------------------------


def test_a_point_does_not_depend_on_its_neighbours(probed):
    draw = np.random.default_rng(0)
    thetas = (probed.theta + 0.3 * draw.normal(size=(5, len(probed.theta)))).astype(np.float32)
    common, own = play(probed, Job(thetas, 40, 3)), play(probed, independent(thetas, 40))
    assert len(np.unique(common.lengths.sum(1))) > 1
    for some in ([2], [3, 0], [4, 2, 1]):
        assert_equal(play(probed, Job(thetas[some], 40, 3)), points(common, some))
        assert_equal(play(probed, independent(thetas[some], 40, numbers=some)), points(own, some))


def test_equal_thetas_have_equal_episodes_with_common_numbers_and_different_ones_with_their_own(linear):
    twice = GRID[[0, 0]]
    common, own = play(linear, Job(twice, 40, 3)).returns, play(linear, independent(twice, 40)).returns
    np.testing.assert_array_equal(common[0], common[1])
    assert len(np.unique(own)) == 80
    # independent: the correlation of 40 pairs is Normal(0, 1/40) or so
    assert abs(np.corrcoef(own)[0, 1]) < 3.5 / np.sqrt(40)
    assert not np.isin(own, common).any()


@pytest.mark.parametrize(("count", "episodes"), [(1, 3), (16, 40), (17, 40), (33, 2), (40, 33)])
def test_the_environments_alive_never_exceed_their_number_whatever_the_grid(count, episodes, monkeypatch):
    alive, most = [0], [0]
    make = episodes_module.make

    def counted(task, seeds, threads):
        engine = make(task, seeds, threads)
        close = engine.close

        def closed():
            alive[0] -= len(seeds)
            close()

        engine.close = closed
        alive[0] += len(seeds)
        most[0] = max(most[0], alive[0])
        return engine

    monkeypatch.setattr(episodes_module, "make", counted)
    thetas = np.tile(falling(0.5), (count, 1))
    found = play(Linear(BIMODAL), Job(thetas, episodes, 0))
    assert found.returns.shape == (count, episodes) and np.isfinite(found.returns).all()
    assert most[0] <= returns.SLOTS and alive[0] == 0


def test_the_environments_are_freed_after_ctrl_c_too(linear, monkeypatch):
    closed = []
    close = episodes_module.EpisodeSampler.close
    monkeypatch.setattr(episodes_module.EpisodeSampler, "close", lambda self: closed.append(close(self)))
    with pytest.raises(KeyboardInterrupt):
        play(linear, Job(GRID, 40, 0), progress=Units(interrupt_after=1))
    assert len(closed) == 1


def test_the_normaliser_is_never_touched(probed):
    def hashed():
        inside = [variable.numpy().tobytes() for name, variable in probed.model.record.items()
                  if name.startswith("normaliser/")]
        return snapshot.normaliser_hash(probed.normaliser), inside

    before = hashed()
    play(probed, Job(np.stack([probed.theta, probed.theta_next]), 8, 0))
    play(probed, independent(np.stack([probed.theta, probed.theta_next]), 8))
    returns.pilot(probed, 0)
    assert hashed() == before
    assert before[0] == probed.metadata["normaliser_sha256"]


def test_streams_of_points_evaluation_and_pools_share_no_number():
    names = [("evaluation_environments", ()), ("landscape_environments", (0, 0)), ("landscape_environments", (0, 1)),
             ("landscape_environments", (1, 0)), ("pool_environments", (0, 0)), ("environments", ())]
    drawn = [set(seeds.environments(0, purpose, 64, *indices)) for purpose, indices in names]
    assert len(set().union(*drawn)) == 64 * len(names)


MEASURED = """
import resource, sys
from tfpg import runtime
from tfpg.config import Runtime
runtime.start(Runtime())
import numpy as np
from tfpg.diagnostics import probe, returns
probed = probe.load(sys.argv[1])
draw = np.random.default_rng(0)
thetas = (probed.theta + 0.1 * draw.normal(size=(704, len(probed.theta)))).astype(np.float32)  # of both: 14 MB
returns.play(probed, returns.Job(thetas[:int(sys.argv[2])], 32, 0), store=returns.Store(sys.argv[3]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.long
@pytest.mark.timeout(900)
def test_memory_does_not_grow_with_the_number_of_points(untrained, tmp_path):
    """Ten units of 16 points against 44. The first few differ, by graphs that wait to be collected and, where each thread has a
    heap of its own, by 70 MB that these leave in pieces: one heap here. θ itself, 20 kB a point, is the caller's: both have all."""
    path = untrained(handmade.config("Hopper-v5", algorithm=Ppo(minibatches=2))).path
    peaks = [float(subprocess.check_output(
        [sys.executable, "-c", MEASURED, str(path), str(count), str(tmp_path / str(count))], cwd=ROOT, text=True,
        env={**os.environ, "MALLOC_ARENA_MAX": "1"}).split()[-1]) for count in (160, 704)]
    assert peaks[1] < peaks[0] + 12, peaks


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("env", ["quadratic", "bimodal"])
def test_the_intervals_hold_the_truth_at_several_sample_sizes(env, linear):
    """The coverage is printed with -s; its standard error is half a percent at 50 episodes, 2 at 500, 4 at 1500."""
    subject = linear if env == "quadratic" else Linear(BIMODAL)
    grid = GRID if env == "quadratic" else np.stack([falling(fall) for fall in (0.2, 0.5, 0.35, 0.1)])
    truth = subject.mean_return(grid)
    common, own = play(subject, Job(grid, 60_000, 1)), play(subject, independent(grid, 60_000))
    for size in (50, 60, 100, 200, 500, 1500):
        ours, theirs = blocks(common, size), blocks(own, size)
        shares = [covered(estimates.means(ours), truth), covered(estimates.means(theirs), truth),
                  covered(gained(ours, paired=True), truth[1:] - truth[0]),
                  covered(gained(theirs, paired=False), truth[1:] - truth[0])]
        print(f"{env} {size:5} episodes: mean return, common {shares[0]:.3f}, independent {shares[1]:.3f}; "
              f"gain, paired {shares[2]:.3f}, unpaired {shares[3]:.3f}")
        for share in shares:
            assert_covers(share, len(ours))
