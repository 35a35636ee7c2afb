"""python -m launch.trust_region, as a user meets it: live and afterwards are one, kills, what it leaves, what it refuses."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from launch import train, trust_region
from tests.launch.grounds import command, stored
from tests.launch.runs import QUICK
from tfpg import storage
from tfpg.diagnostics.trust_regions import of_runs
from tfpg.diagnostics.trust_regions.heldout import Heldout
from tfpg.report import metrics
from tfpg.report.progress import Budget


def trained(path, *arguments):
    code, _, err = command(train, *QUICK, "--value.epochs=1", *arguments, f"--workdir={path}")
    assert code == 0, err
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """TRPO and PPO with held-out pairs live, TRPO without, and another seed of PPO."""
    root = tmp_path_factory.mktemp("runs")
    ppo = ["--algo=ppo", "--ppo.minibatches=4", "--ppo.epochs=3"]
    return {name: trained(root / name, *arguments) for name, arguments in {
        "live": ["--algo=trpo", "--heldout_every=1"], "later": ["--algo=trpo"], "ppo-0": [*ppo, "--heldout_every=2"],
        "ppo-1": [*ppo, "--seed=1"]}.items()}


def look(*arguments):
    return command(trust_region, *map(str, arguments))


@pytest.fixture(scope="module")
def afterwards(runs, tmp_path_factory):
    """The run that did not look, looked at."""
    output = tmp_path_factory.mktemp("afterwards")
    code, out, err = look(f"--run={runs['later']}", "--heldout_every=1", f"--output={output}")
    assert code == 0, err
    return output, out, err


def test_held_out_pairs_give_the_same_numbers_live_and_afterwards(runs, afterwards, tmp_path, monkeypatch):
    monkeypatch.setattr(Heldout, "measure", None)  # the run has them: nothing is played
    assert look(f"--run={runs['live']}", "--heldout_every=1", f"--output={tmp_path}")[0] == 0
    live, later = stored(tmp_path, "live"), stored(afterwards[0], "later")
    assert (live.attrs["heldout_live"], later.attrs["heldout_live"]) == (4, 0)
    xr.testing.assert_equal(live, later)
    assert np.isfinite(later["mean_kl"]).all() and (later["pairs"] == 256).all()


@pytest.mark.parametrize(("arguments", "looked_at"), [
    (["--scale=paper"], 4), ([], 1), (["--scale=smoke"], 1), (["--scale=paper", "--heldout_every=2"], 2)])
def test_a_scale_says_how_many_iterations_are_looked_at(runs, arguments, looked_at, tmp_path):
    code, out, err = look(f"--run={runs['later']}", *arguments, "--dry_run", f"--output={tmp_path}")
    assert code == 0, err
    assert f"held-out pools of 256 pairs for {looked_at}:" in out


def test_ppos_live_numbers_are_those_of_its_film(runs, tmp_path):
    blind = shutil.copytree(runs["ppo-0"], tmp_path / "ppo-0")
    rows = metrics.read(blind / "metrics.jsonl")
    seen = [row for row in rows if any("heldout" in name for name in row)]
    assert len(seen) == 2
    (blind / "metrics.jsonl").write_text("".join(
        json.dumps({name: value for name, value in row.items() if "heldout" not in name}) + "\n" for row in rows))
    for run, output in ((runs["ppo-0"], "live"), (blind, "film")):
        code, _, err = look(f"--run={run}", "--heldout_every=2", f"--output={tmp_path / output}")
        assert code == 0, err
    live, film = (stored(tmp_path / output, "ppo-0") for output in ("live", "film"))
    assert (live.attrs["heldout_live"], film.attrs["heldout_live"]) == (2, 0)
    xr.testing.assert_equal(live, film)


def test_a_killed_look_plays_nothing_twice_and_ends_with_the_same_numbers(runs, afterwards, tmp_path, monkeypatch):
    monkeypatch.setattr(of_runs, "TOGETHER", 1)
    advance, played = Budget.advance, []

    def interrupted(self, updates, pairs, seconds):
        advance(self, updates, pairs, seconds)
        if seconds > 0:
            played.append(updates)
            if len(played) in (1, 3):
                raise KeyboardInterrupt

    monkeypatch.setattr(Budget, "advance", interrupted)
    codes = [look(f"--run={runs['later']}", "--heldout_every=1", f"--output={tmp_path}")[0] for _ in range(3)]
    assert (codes, len(played)) == ([130, 130, 0], 4)
    xr.testing.assert_identical(stored(tmp_path, "later"), stored(afterwards[0], "later"))
    assert not [path for path in tmp_path.rglob("*") if storage.is_temporary(path.name)]


def test_what_was_played_for_some_iterations_is_read_when_more_are_asked_for(runs, afterwards, tmp_path, monkeypatch):
    played, measure = [], Heldout.measure
    monkeypatch.setattr(Heldout, "measure", lambda self, steps: played.extend(step.iteration for step in steps) or measure(self, steps))
    for every in (2, 1, 2):
        code, _, err = look(f"--run={runs['later']}", f"--heldout_every={every}", f"--output={tmp_path}")
        assert code == 0, err
    assert played == [0, 2, 1, 3]
    look(f"--run={runs['later']}", "--heldout_every=1", f"--output={tmp_path}")
    xr.testing.assert_identical(stored(tmp_path, "later"), stored(afterwards[0], "later"))


def test_the_result_is_labelled_and_holds_what_the_metrics_say(runs, afterwards):
    found = stored(afterwards[0], "later")
    assert dict(found.sizes) == {"iteration": 4, "pool": 2, "quantile": 5}
    assert (found.attrs["task"], found.attrs["preset"], found.attrs["run_seed"]) == ("Hopper-v5", "trpo", 0)
    assert found["mean_kl"].attrs["units"] == "nats"
    rows = metrics.read(runs["later"] / "metrics.jsonl")
    np.testing.assert_array_equal(found["mean_kl"].sel(pool="train"), [row["trust_region/train/mean_kl"] for row in rows])
    np.testing.assert_array_equal(found["kl_quantile"].sel(pool="train", quantile=0.9),
                                  [row["trust_region/train/kl_quantile_90"] for row in rows])
    np.testing.assert_array_equal(found["predicted_kl"], [row["trpo/predicted_kl"] for row in rows])
    np.testing.assert_array_equal(found["normaliser_mean_kl"], [row["trust_region/normaliser/mean_kl"] for row in rows])
    assert (found["mean_kl"].sel(pool="train") <= found["delta"] * (1 + 1e-5)).all()


def test_cost_and_progress_are_said_and_figures_drawn_also_for_tensorboard(afterwards):
    output, out, err = afterwards
    assert "held-out pools of 256 pairs for 4" in out and "by the speed of the runs' own rollouts" in out
    assert "100 %" in err
    assert "trpo on Hopper-v5, 1 agent" in out and "statement about this agent" in out
    assert (output / "numbers.txt").read_text() in out
    assert (output / "trust_region.png").stat().st_size > 10_000
    assert EventAccumulator(str(output)).Reload().Tags()["images"] == ["trust_region/trust_region", "trust_region/later-inside"]


def test_several_runs_are_the_agents_of_their_presets(runs, tmp_path):
    code, out, err = look(*(f"--run={runs[name]}" for name in ("ppo-0", "live", "ppo-1")), "--heldout_every=2",
                          f"--output={tmp_path}")
    assert code == 0, err
    summary = stored(tmp_path, "summary")
    assert list(zip(summary["preset"].values, summary["agents"].values, strict=True)) == [("ppo", 2), ("trpo", 1)]
    ppo = [stored(tmp_path, name)["max_ratio"] for name in ("ppo-0", "ppo-1")]
    np.testing.assert_allclose(summary["max_ratio"].isel(group=0), np.sqrt(ppo[0] * ppo[1]))
    assert summary["mean_kl"].attrs["units"] == "nats" and "tensorflow" in summary.attrs
    assert np.isfinite(ppo[1].sel(pool="heldout")).values.tolist() == [True, False, True, False]
    assert stored(tmp_path, "ppo-0")["epoch_mean_kl"].shape == (4, 3)
    assert "ppo on Hopper-v5, 2 agents" in out and "own, where held-out, 256" in out
    assert {path.stem for path in tmp_path.glob("*.png")} == {"trust_region", "ppo-0-inside", "ppo-1-inside", "live-inside"}


def test_a_dry_run_and_no_held_out_pairs_play_nothing(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(Heldout, "measure", None)
    assert look(f"--run={runs['later']}", "--dry_run", f"--output={tmp_path / 'none'}")[0] == 0
    assert not (tmp_path / "none").exists()
    assert look(f"--run={runs['later']}", "--heldout_every=0", f"--output={tmp_path}")[0] == 0
    found = stored(tmp_path, "later")
    assert np.isnan(found["mean_kl"].sel(pool="heldout")).all() and (found["pairs"].sel(pool="heldout") == 0).all()


# Bad input


@pytest.mark.parametrize(("arguments", "words"), [
    ([], "which run? --run=DIR"), (["--run={root}/none"], "there is no directory"), (["--run={root}"], "no run directory"),
    (["--run={later}", "--run={later}"], "is given twice"), (["--run={empty}"], "has no finished iteration yet"),
    (["--run={filmless}"], "has no film"), (["--run={later}", "--run={twin}/later"], "would both be stored as later.nc"),
    (["--run={later}", "--run={twin}/again", "--heldout_every=0"], "one seed"), (["--run={damaged}"], "000001.npz is damaged"),
    (["--run={later}", "--scale=smal"], "there is no scale=smal: did you mean"),
    (["--run={later}", "--heldout_every=-1"], "heldout_every"), (["--run={later}", "--heldout_pairs=1"], "heldout_pairs"),
    (["--run={later}", "--heldout_pairs=9", "--heldout_every=0"], "heldout_pairs=9 has no effect")])
def test_bad_input_is_one_sentence(runs, places, arguments, words, tmp_path):
    code, _, err = look(*(argument.format(**places) for argument in arguments), f"--output={tmp_path}")
    last = err.splitlines()[-1]
    assert code == 2 and last.startswith("launch.trust_region: ") and words in last and "Traceback" not in err


@pytest.fixture(scope="module")
def places(runs, tmp_path_factory):
    root = tmp_path_factory.mktemp("places")
    for name in ("empty", "filmless", "damaged", "twin/later", "twin/again"):
        shutil.copytree(runs["later"], root / name)
    (root / "empty" / "metrics.jsonl").unlink()
    shutil.rmtree(root / "filmless" / "iterates")
    frame = root / "damaged" / "iterates" / "000001.npz"
    frame.write_bytes(frame.read_bytes()[:-100])
    return {"root": root, "later": runs["later"], **{name: root / name for name in ("empty", "filmless", "damaged", "twin")}}


def test_help_and_bad_input_are_answered_without_tensorflow():
    code = ("import sys; from launch import trust_region as t; "
            "codes = [t.main([argument]) for argument in ('--help', '--run=/none', '--rn=x')]; "
            "print(codes, 'tensorflow' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("usage: python -m launch.trust_region") and done.stdout.endswith("[0, 2, 2] False\n")
    assert "did you mean --run?" in done.stderr
