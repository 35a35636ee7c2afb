"""Small policies to survey, and surveys of them that take a second: every part of a real one in it."""

import contextlib
import io

import xarray as xr

from launch import landscape, train
from tests.launch.runs import QUICK

# Small enough for a test: 3×3 points, slices of 4, a handful of episodes each. Scale smoke stands for what is not named.
TINY = ["--scale=smoke", "--points=3", "--pairs=100", "--sizes=60,100", "--slice_points=4", "--slice_pairs=100", "--directions=2",
        "--end_pairs=200", "--update_pairs=stored,64", "--heldout_pairs=64", "--repeats=2", "--repeat_episodes=8"]
PLAYED = ("return", "surrogate", "slices", "concentration", "updates")


def trained(path, algo, env, *more):
    """A run of 3 iterations with its first policy and its last. Returns: its directory."""
    few = ["--ppo.minibatches=4", "--ppo.epochs=2"] if algo.startswith("ppo") else []
    code, _, err = command(train, *QUICK, f"--algo={algo}", f"--env={env}", "--total_steps=768", "--value.epochs=1", *few,
                           "--snapshots=0,2", f"--workdir={path}", *more)
    assert code == 0, err
    return path


def survey(*arguments):
    """Exit code, standard output and standard error of one command."""
    return command(landscape, *TINY, *map(str, arguments))


def command(launcher, *arguments):
    """A launcher in process, for fixtures that capsys does not reach."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = launcher.main(list(arguments))
    return code, out.getvalue(), err.getvalue()


def stored(directory, surface):
    """A result as it lies on the disk."""
    with xr.open_dataset(directory / f"{surface}.nc", engine="h5netcdf") as found:
        return found.load()


def assert_equal_surveys(a, b, surfaces=PLAYED):
    """Two surveys found the same, to the bit, whatever became of them on the way."""
    for name in surfaces:
        left, right = stored(a, name), stored(b, name)
        xr.testing.assert_identical(left, right)
    assert (a / "plan.json").read_text() == (b / "plan.json").read_text()
