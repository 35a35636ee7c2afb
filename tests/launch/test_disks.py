"""Every command that writes, on a disk that fills and on one that becomes read-only in mid-run: one sentence, nothing lost, the same bits later."""

import shutil

import pytest

from launch import evaluate, gradients, import_policy, landscape, report, steps, study, train, trust_region, values
from tests.launch import disks, test_gradients, test_steps, test_values
from tests.launch.grounds import TINY, command, trained
from tests.launch.runs import QUICK, assert_equal_runs
from tests.launch.test_study import STUDY
from tests.test_architecture import ROOT
from tfpg import storage
from tfpg.diagnostics import results

pytestmark = pytest.mark.long

FIXTURES = ROOT / "tests/importing/fixtures"
# What each command is asked, with its results in {out}; {run} is a finished run, {home} the folder that it is in.
COMMANDS = {
    "train": (train, [*QUICK, "--algo=trpo", "--env=CartPole-v1", "--snapshots=0,3", "--checkpoint_seconds=0", "--workdir={out}/run"]),
    "evaluate": (evaluate, ["--policy={run}/policies/000002", "--episodes=16", "--output={out}"]),
    "landscape": (landscape, [*TINY, "--policy={run}/policies/000000", "--output={out}/landscape"]),
    "gradients": (gradients, [*test_gradients.TINY, "--policy={run}/policies/000000", "--output={out}/gradients"]),
    "values": (values, [*test_values.TINY, "--policy={run}/policies/000000", "--output={out}/values"]),
    "trust_region": (trust_region, ["--run={run}", "--heldout_every=1", "--scale=smoke", "--output={out}/regions"]),
    "steps": (steps, ["--run={run}", *test_steps.QUICK, "--output={out}/steps"]),
    "study": (study, ["{home}/mine.py", "--output={out}/study"]),
    "report": (report, ["{home}", "--output={out}/report"]),
    "import_policy": (import_policy, ["--from={fixtures}/ppo.zip", "--vec_normalize=none", "--env=Hopper-v5", "--output={out}/policy"]),
}


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory):
    if not disks.can_mount(tmp_path_factory.mktemp("mount")):
        pytest.skip("only root may mount the small disks of these tests; tests/test_storage.py fills files without")


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """A finished run, alone in a folder with a study's file and another library's policy."""
    home = tmp_path_factory.mktemp("ground")
    (home / "mine.py").write_text(STUDY.format(seeds="[0]", episodes=8))
    return home, trained(home / "runs" / "trpo-CartPole-v1-0", "trpo", "CartPole-v1")


@pytest.fixture(scope="module")
def undisturbed(ground, tmp_path_factory):
    """undisturbed(name) → where the command's results lie when nothing went wrong."""
    done = {}

    def asked(name):
        if name not in done:
            done[name] = tmp_path_factory.mktemp(name)
            code, _, err = ask(name, ground, done[name])
            assert code == 0, err
        return done[name]

    return asked


def ask(name, ground, out):
    home, run = ground
    launcher, arguments = COMMANDS[name]
    return command(launcher, *(each.format(run=run, home=home, out=out, fixtures=FIXTURES) for each in arguments))


def assert_refused(name, code, out, err, *words):
    """One sentence, and no traceback. A study tells of the job that failed where it tells of all jobs."""
    assert code in (1, 2) and "Traceback" not in out + err, err
    if name == "study":
        assert any(each in (out + err).lower() for each in words), out + err
    else:
        said = err.strip().splitlines()[-1]
        assert said.startswith(f"launch.{name}: ") and any(each in said.lower() for each in words), err


def assert_equal_results(a, b):
    """Everything that two commands left is the same: NetCDFs in every number, JSON but for places and times, whole runs."""
    for run in (path.parent for path in a.rglob("metrics.jsonl")):
        assert_equal_runs(run, b / run.relative_to(a))
    found, there = (sorted(path.relative_to(each) for path in each.rglob("*.nc") if not storage.is_temporary(path.name)) for each in (a, b))
    assert found == there  # a disk that takes no write keeps a temporary file, too
    for path in found:
        left, right = results.load(a / path), results.load(b / path)
        assert left.drop_attrs().equals(right.drop_attrs()), path
    for path in (path.relative_to(a) for pattern in ("*.png", "numbers.txt", "*.index") for path in a.rglob(pattern)):
        assert (b / path).exists(), path


# Of what an undisturbed command writes; .05 and .9 were tried with every command.
@pytest.mark.parametrize(("name", "share"), [*((name, 0.35) for name in COMMANDS), ("train", 0.05), ("landscape", 0.9)])
def test_on_a_disk_that_fills_a_command_ends_in_a_sentence_and_the_same_command_goes_on(name, share, ground, undisturbed, tmp_path):
    whole = undisturbed(name)
    disk = disks.Full(tmp_path, f"{max(int(share * disks.used(whole) / 4096), 1) * 4}k")
    try:
        code, out, err = ask(name, ground, tmp_path)
        assert_refused(name, code, out, err, "no space left on device")
        disk.grow()
        code, _, err = ask(name, ground, tmp_path)
        assert code == 0, err
        assert_equal_results(whole, tmp_path)
    finally:
        disk.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_on_a_disk_that_becomes_read_only_a_command_ends_in_a_sentence_and_the_same_command_goes_on(
        name, ground, undisturbed, tmp_path):
    whole, place = undisturbed(name), tmp_path / "disk"
    place.mkdir()
    disk = disks.Aborting(place, tmp_path / "image")
    try:
        moment = 0 if name in ("import_policy", "evaluate") else 0.3 * disks.used(whole)  # these write all they write in no time
        with disk.abort_when(grown_to=moment) as happened:
            code, out, err = ask(name, ground, place)
        if not happened.is_set():
            pytest.fail("it was over before the disk became read-only")
        if code:  # the last write may have been over
            assert_refused(name, code, out, err, "read-only file system", "input/output error")
        disk.mend()
        code, _, err = ask(name, ground, place)
        assert code == 0, err
        shutil.rmtree(place / "lost+found")
        assert_equal_results(whole, place)
    finally:
        disk.close()
