"""The command as a user meets it: what a survey leaves and says, how it goes on, what it can be asked."""

import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from launch import evaluate, landscape
from launch.instruments.landscapes import numbers
from launch.shared import pictures
from launch.shared.numbers import number, rounded
from tests.diagnostics import plain_keras
from tests.launch.grounds import PLAYED, TINY, assert_equal_surveys, command, stored, survey, trained
from tfpg import storage
from tfpg.diagnostics import foreign, pools, probe, returns
from tfpg.diagnostics.landscapes import post_update, slices, surfaces
from tfpg.report.progress import Budget


@pytest.fixture(scope="module")
def ppo(tmp_path_factory):
    """Discrete actions: the run of an algorithm that clips."""
    return trained(tmp_path_factory.mktemp("runs") / "ppo", "ppo", "CartPole-v1")


@pytest.fixture(scope="module")
def trpo(tmp_path_factory):
    """Continuous actions; its line search."""
    return trained(tmp_path_factory.mktemp("runs") / "trpo", "trpo", "Pendulum-v1")


@pytest.fixture(scope="module")
def policy(ppo):
    return f"--policy={ppo}/policies/000002"


@pytest.fixture(scope="module")
def whole(ppo, policy, tmp_path_factory):
    """A survey of everything, uninterrupted: its directory, what it printed, what it reported on the way."""
    directory = tmp_path_factory.mktemp("surveys") / "whole"
    code, out, err = survey(policy, f"--to={ppo}/iterates/000003.npz", f"--output={directory}")
    assert code == 0, err
    return directory, out, err


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Two stages of a policy that plain Keras trained: one saved, one exported too."""
    directory = tmp_path_factory.mktemp("others")
    for i, model in enumerate(plain_keras.train(epochs=(1, 1))):
        model.save(directory / f"{i}.keras")
        model.export(directory / f"exported-{i}", verbose=False)
    return directory


@pytest.fixture
def undrawn(monkeypatch):
    """Figures take most of a small survey's seconds."""
    monkeypatch.setattr(pictures, "draw", lambda *_: None)


@pytest.fixture(scope="module")
def subject_of(ppo):
    """The policy of `whole`."""
    return probe.load(ppo / "policies" / "000002")


def images(directory):
    """The images that TensorBoard shows."""
    return set(EventAccumulator(str(directory)).Reload().Tags()["images"])


def never(*_, **__):
    raise AssertionError("this should not have been played again")


# What it leaves and says


def test_every_surface_is_stored_and_drawn(whole):
    directory, _, _ = whole
    names = {path.name for path in directory.iterdir() if not path.name.startswith("events")}
    assert names == {"plan.json", "pilot.json", "numbers.txt", "parts", "comparison.png",
                     *(f"{name}.{kind}" for name in (*PLAYED, "film") for kind in ("nc", "png"))}
    assert images(directory) == {f"landscape/{name}" for name in (*PLAYED, "film", "comparison")}


def test_every_result_says_what_it_was_measured_on(whole, ppo):
    for name in (*PLAYED, "film"):
        attrs = stored(whole[0], name).attrs
        assert (attrs["instrument"], attrs["surface"], attrs["task"], attrs["preset"]) == ("landscape", name, "CartPole-v1", "ppo")
        assert (attrs["iteration"], attrs["run_seed"], attrs["scale"]) == (2, 0, "smoke")
        assert attrs["policy"] == str(ppo / "policies" / "000002") and len(attrs["normaliser_sha256"]) == 64


def test_the_cost_is_announced_before_it_is_played(whole):
    _, out, err = whole
    head, _, report = out.partition("\n\n")
    assert "first look: return " in head and "128 episodes" in head
    for surface in (*PLAYED, "film"):
        assert f"\n  {surface} " in head
    assert "about " in head and " pairs, " in head and "by the speed of the first look" in head
    assert "95 % intervals" in report and "few: with fewer than 50" in report and f"stored in {whole[0]}: return.nc" in report
    # progress and nothing else: results can be piped away from it
    assert err.startswith("0 %, return of ppo on CartPole-v1, seed 0, iteration 2\n") and "100 %" in err
    assert all(line.endswith(" of ppo on CartPole-v1, seed 0, iteration 2") for line in err.splitlines())


def test_what_is_announced_is_what_is_played(whole):
    # 3×3 points and as many episodes as the first look's mean length says; of the slices θ_k counts once
    directory, out, _ = whole
    length = json.loads((directory / "pilot.json").read_text())["mean_length"]
    episodes = int(np.ceil(100 / length))
    found = stored(directory, "return")
    assert dict(found["episode_return"].sizes) == {"update": 2, "x": 3, "y": 3, "episode": episodes}
    lines = [line.split() for line in out.splitlines()]

    def after(words):
        return next(line[len(words.split()):] for line in lines if line[:len(words.split())] == words.split())

    assert after("return stored step of 256 pairs")[:2] == ["9", str(episodes)]
    assert after("slices the step, 1 recomputed, 2 random directions")[:2] == [str(1 + 4 * 3), str(episodes)]
    assert after("updates updates of 256 pairs 2")[0] == "8"


def test_the_recomputed_step_has_a_line_of_the_steps_norm_and_a_place_among_the_random_ones(whole):
    found = stored(whole[0], "slices")
    np.testing.assert_array_equal(found["role"], ["step", "random", "random", "recomputed"])
    np.testing.assert_allclose(found["norm"], float(found["norm"][0]), rtol=1e-6)
    assert str(found["label"].values[3]) == f"recomputed step of {int(found['move_pairs'][1]):,} pairs"
    assert 1 <= float(found["rank_slope_recomputed"][0]) <= 3 and found.attrs["compared_with"] == 2
    assert f"{found['label'].values[3]}, at the same norm: slope" in " ".join(whole[1].split())


def test_what_the_updates_were_made_from_and_how_sure_their_spread_is_are_said(whole):
    said, found = " ".join(whole[1].split()), stored(whole[0], "updates")
    assert post_update.DRAWN in said
    between = [np.sqrt(max(float(found[f"variance_{name}"][0]), 0)) for name in ("between", "low", "high")]
    assert "standard deviation between updates {} [{}, {}]".format(*(number(each) for each in between)) in said


def test_what_it_takes_to_tell_points_apart_is_said(whole):
    said, found = " ".join(whole[1].split()), stored(whole[0], "slices")
    for needed in found["needed_pairs"].values:
        assert f"to order both rightly with probability .95 takes {rounded(needed)} [" in said
    d = stored(whole[0], "concentration")
    assert ("to order two points rightly" in said) == bool((d["resolved_by_gap"] >= numbers.RESOLVED).any())


@pytest.mark.parametrize(("episodes", "says"), [
    ((10.0, 8.0, 13.0), "1,000 [800, 1,300]"), ((0.4, 0.2, 0.6), "fewer than 100"), ((50.0, 10.0, np.inf), "more than 2,000"),
    ((15.0, 9.0, np.inf), "1,500 [900, no bound]")])
def test_needed_pairs_go_no_further_than_the_samples_that_were_looked_at(episodes, says):
    d = xr.Dataset({name: ("gap", [value]) for name, value in zip(
        ("needed_episodes", "needed_episodes_low", "needed_episodes_high"), episodes, strict=True)}
        | {"mean_return_count": ("size", [1, 20])}, {"size": [100, 2000]})
    assert numbers._needed_pairs(d, 0) == says


def test_numbers_are_rounded_to_two_digits():
    assert [rounded(x) for x in (57_544, 149_615, 9.4, 123, np.inf)] == ["58,000", "150,000", "9", "120", "no bound"]


def test_the_readmes_python_is_run(ppo, tmp_path, monkeypatch):
    text = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
    [block] = [part.split("```")[0] for part in text.split("```python\n")[1:] if "surfaces.returns(" in part]
    for published, small in (("runs/trpo-Hopper-v5-0/policies/000150", str(ppo / "policies" / "000002")), ("episodes=60", "episodes=3"),
                             ("grid(9, -1, 3)", "grid(4, -1, 3)")):
        assert published in block
        block = block.replace(published, small)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(block, "README.md", "exec"), names)  # noqa: S102  (our own text)
    assert {path.name for path in tmp_path.glob("*.png")} == {"return.png", "kl.png"}
    assert float(names["far"]["mean_kl"].sel(x=0, y=0)) == 0 and float(names["far"]["mean_kl"].max()) > 0
    assert {"origin", "x_direction", "y_direction"} <= set(names["far"].variables) and "gain" in names["found"]


def test_slices_stored_before_steps_were_made_again_are_read(whole, subject_of):
    old = stored(whole[0], "slices").isel(direction=slice(0, 3)).drop_vars(
        ["role", *(n for n in stored(whole[0], "slices").variables if "recomputed" in n or n.startswith("needed"))])
    said = numbers.report(subject_of, {"slices": old})
    assert "along 2 random directions" in " ".join(said.split()) and "at the same norm" not in said


def test_a_film_goes_from_theta_k_to_the_later_one_and_not_beyond(whole):
    ts = stored(whole[0], "film")["t"].values
    assert ts[0] == 0 and ts[-1] == 1 and (np.diff(ts) > 0).all()


def test_no_printed_line_is_wider_than_its_terminal_but_paths(whole):
    for line in whole[1].splitlines():
        assert len(line) <= 120 or "/" in line


def test_the_centre_earns_what_launch_evaluate_says(whole, policy, tmp_path):
    found = stored(whole[0], "slices")
    episodes = int(found["origin_return_count"][0])
    assert command(evaluate, policy, f"--episodes={episodes}", f"--output={tmp_path}")[0] == 0
    evaluated = stored(tmp_path, "evaluation-000002").sel(policy="stochastic")
    assert float(found["origin_return"][0]) == pytest.approx(float(evaluated["mean_return"]), rel=1e-12)
    # the centre of the surface is the same episodes, as far as they go
    centre = stored(whole[0], "return")["episode_return"].sel(x=0, y=0).isel(update=0)
    np.testing.assert_array_equal(centre, evaluated["episode_return"][: centre.size])


def test_the_surfaces_are_of_the_stored_and_the_recomputed_step(whole, ppo):
    probed = probe.load(ppo / "policies" / "000002")
    step = np.linalg.norm(np.float64(probed.theta_next) - probed.theta)
    for name in ("return", "surrogate"):
        found = stored(whole[0], name)
        assert list(found["update"].values) == [256, 64]
        assert list(found["update_kind"].values.astype(str)) == ["stored", "recomputed"]
        assert float(found["step_norm"][0]) == pytest.approx(step) != pytest.approx(float(found["step_norm"][1]))
        np.testing.assert_allclose(found["random_norm"], 2)
    at_origin = stored(whole[0], "surrogate")["surrogate"].sel(x=0, y=0)
    np.testing.assert_allclose(at_origin, 0, atol=1e-6)


# The same directory again


def test_the_same_command_again_plays_nothing_and_prints_the_same_numbers(whole, ppo, policy, monkeypatch):
    directory, out, _ = whole
    for module, name in ((returns, "pilot"), (surfaces, "play"), (slices, "play"), (pools, "draw"), (pictures.figures, "png")):
        monkeypatch.setattr(module, name, never)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    code, again, err = survey(policy, f"--to={ppo}/iterates/000003.npz", f"--output={directory}")
    assert (code, err) == (0, "")
    assert "finished before, read from files: return, surrogate, slices, concentration, updates, film" in again
    assert again.partition("\n\n")[2] == out.partition("\n\n")[2]  # the numbers, from first to last
    assert "first look at" not in again and "recomputing" not in again and "about" not in again.partition("\n\n")[0]
    assert {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("arguments", "difference"), [
    (["--sizes=50"], "sizes=60,100 there, 50 asked"), (["--norm=step", "--seed=3"], "norm=paper there, step asked; seed=0 there, 3"),
    (["--to={ppo}/policies/000000"], "to={ppo}/iterates/000003.npz there, {ppo}/policies/000000 asked")])
def test_another_plan_in_the_same_directory_is_refused_with_the_difference(whole, ppo, policy, arguments, difference):
    before = (whole[0] / "plan.json").read_bytes()
    code, out, err = survey(policy, *(argument.format(ppo=ppo) for argument in arguments), f"--output={whole[0]}")
    assert (code, out) == (2, "")
    assert err.startswith(f"launch.landscape: {whole[0]} holds results of other settings (") and err.count("\n") == 1
    assert difference.format(ppo=ppo) in err and err.endswith("--output=DIR takes these elsewhere.\n")
    assert (whole[0] / "plan.json").read_bytes() == before


def test_another_policy_in_the_same_directory_is_refused(whole, ppo):
    code, out, err = survey(f"--policy={ppo}/policies/000000", f"--output={whole[0]}")
    assert code == 2 and "finished" not in out
    assert "holds a survey of another policy (iteration: 2 there, 0 asked): --output=DIR takes this one elsewhere." in err


def test_a_policy_that_was_moved_is_the_same_policy(whole, ppo, tmp_path):
    shutil.copytree(ppo / "policies" / "000002", tmp_path / "copy")
    code, out, err = survey(f"--policy={tmp_path}/copy", f"--output={whole[0]}", "--surface=return")
    assert code == 0, err
    assert "finished before, read from files: return\n" in out


def test_a_surface_added_later_plays_only_itself(policy, tmp_path, undrawn, monkeypatch):
    assert survey(policy, "--surface=return", "--update_pairs=stored", f"--output={tmp_path}")[0] == 0
    before = (tmp_path / "return.nc").read_bytes()
    monkeypatch.setattr(returns, "pilot", never)
    monkeypatch.setattr(surfaces, "returns", never)
    code, out, err = survey(policy, "--surface=surrogate,return", "--update_pairs=stored", f"--output={tmp_path}")
    assert code == 0, err
    assert "finished before, read from files: return\n" in out and "begun before" in out
    assert (tmp_path / "return.nc").read_bytes() == before and (tmp_path / "surrogate.nc").exists()


def test_a_film_may_join_a_survey_and_stays_when_it_is_not_asked_for(policy, ppo, tmp_path, undrawn):
    few = ["--update_pairs=stored", f"--output={tmp_path}"]
    assert survey(policy, "--surface=surrogate", *few)[0] == 0
    to = f"--to={ppo}/policies/000000"
    assert survey(policy, "--surface=film", to, *few)[0] == 0
    found = stored(tmp_path, "film")
    assert found.attrs["to_iteration"] == 0 and found.attrs["action_difference"] < 1e-5
    code, out, err = survey(policy, "--surface=surrogate", *few)
    assert code == 0, err
    assert "film.nc" not in out and json.loads((tmp_path / "plan.json").read_text())["to"] == to.removeprefix("--to=")


def test_a_dry_run_announces_and_leaves_the_first_look_alone(policy, tmp_path, monkeypatch):
    for module in (surfaces, slices):
        monkeypatch.setattr(module, "play", never)
    code, out, err = survey(policy, "--dry_run", "--seed=3", f"--output={tmp_path}")
    assert (code, err) == (0, "")
    assert "slices" in out and "about " in out and [path.name for path in tmp_path.iterdir()] == ["pilot.json"]


def test_a_survey_does_not_depend_on_what_a_dry_run_was_asked(policy, tmp_path, undrawn):
    asked = [policy, "--surface=return", "--update_pairs=stored"]
    assert survey(*asked, "--dry_run", "--seed=3", "--pairs=5", f"--output={tmp_path}/a")[0] == 0
    for name in "ab":
        assert survey(*asked, f"--output={tmp_path}/{name}")[0] == 0
    assert_equal_surveys(tmp_path / "a", tmp_path / "b", ["return"])


# Interrupted, damaged, in the way


def test_interrupted_again_and_again_it_plays_nothing_twice_and_ends_with_the_same_results(
        whole, ppo, policy, tmp_path, undrawn, monkeypatch):
    advance, played = Budget.advance, []

    def interrupted(self, episodes, pairs, seconds):
        advance(self, episodes, pairs, seconds)
        if seconds > 0:
            played.append(episodes)
            if len(played) in (1, 4):
                raise KeyboardInterrupt

    monkeypatch.setattr(Budget, "advance", interrupted)
    codes = []
    while not codes or codes[-1] == 130:
        code, out, err = survey(policy, "--surface=return,updates,film", f"--to={ppo}/iterates/000003.npz", f"--output={tmp_path}")
        codes.append(code)
        assert ("begun before" in out) == (len(codes) > 1)
        if code == 130:
            assert err.endswith("\nlaunch.landscape: interrupted; what was stored stays, and the same command goes on.\n")
    assert codes == [130, 130, 0]
    assert len(played) == 5  # units: two surfaces, updates and their centre, the film
    assert {path.name for path in (tmp_path / "parts").iterdir()} < {path.name for path in (whole[0] / "parts").iterdir()}
    assert_equal_surveys(whole[0], tmp_path, ("return", "updates", "film"))
    assert not [path for path in tmp_path.rglob("*") if storage.is_temporary(path.name)]


def test_a_figure_that_is_missing_is_drawn_and_no_other(whole, ppo, policy, tmp_path):
    directory = tmp_path / "survey"
    shutil.copytree(whole[0], directory)
    (directory / "film.png").unlink()
    before = {path: path.stat().st_mtime_ns for path in directory.glob("*.png")}
    code, _, err = survey(policy, "--surface=return,film", f"--to={ppo}/iterates/000003.npz", f"--output={directory}")
    assert (code, err) == (0, "")
    assert (directory / "film.png").read_bytes() == (whole[0] / "film.png").read_bytes()
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(("name", "words"), [
    ("return.nc", "return.nc is damaged: it cannot be read as NetCDF"), ("pilot.json", "pilot.json is damaged"),
    ("plan.json", "plan.json is damaged"), ("parts", ".npz is damaged")])
def test_a_damaged_file_is_named_and_nothing_is_overwritten(whole, ppo, policy, tmp_path, name, words):
    directory = tmp_path / "survey"
    shutil.copytree(whole[0], directory)
    if name == "parts":
        (directory / "return.nc").unlink()  # so that what it was made from is read
    for path in sorted((directory / name).iterdir()) if name == "parts" else [directory / name]:
        path.write_bytes(path.read_bytes()[:40])
    code, _, err = survey(policy, f"--to={ppo}/iterates/000003.npz", f"--output={directory}")
    assert code == 2 and words in err.splitlines()[-1] and "Traceback" not in err
    if name == "return.nc":
        assert err.endswith("remove it, and the same command makes it anew from what was played.\n")


def test_a_result_that_was_removed_is_made_anew_from_what_was_played(whole, ppo, policy, tmp_path, undrawn, monkeypatch):
    directory = tmp_path / "survey"
    shutil.copytree(whole[0], directory)
    (directory / "film.nc").unlink()
    monkeypatch.setattr(returns, "_Player", never)
    code, _, err = survey(policy, "--surface=film", f"--to={ppo}/iterates/000003.npz", f"--output={directory}")
    assert code == 0, err
    assert "read from the store" in err
    assert_equal_surveys(whole[0], directory, ["film"])


def test_a_directory_that_cannot_be_made_is_one_sentence(policy, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = survey(policy, "--surface=return", f"--output={tmp_path}/file/below")
    assert code == 2
    assert err == f"launch.landscape: cannot make the directory {tmp_path}/file/below: not a directory.\n"


def test_a_full_disk_is_one_sentence_and_the_survey_goes_on_when_there_is_room(policy, tmp_path, monkeypatch):
    asked = [policy, "--surface=return", "--update_pairs=stored", f"--output={tmp_path}"]
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)

    def cramped(size):
        """What is said where no file may grow beyond so many bytes."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
        try:
            code, _, err = survey(*asked)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        assert code == 2 and not [path for path in tmp_path.rglob("*") if storage.is_temporary(path.name)]
        return err.splitlines()[-1]

    # the first look, the store of episodes and the result meet the limit in turn
    for size, file in ((100, "pilot.json"), (1_000, ".npz"), (20_000, "return.nc")):
        said = cramped(size)
        assert said.startswith("launch.landscape: cannot write ") and said.endswith(f"{file}: file too large.")
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "draw", lambda *_: None)
        patch.setattr(returns, "_Player", never)
        assert survey(*asked)[0] == 0
    assert cramped(20_000) == f"launch.landscape: cannot write {tmp_path}/return.png: file too large."
    assert survey(*asked)[0] == 0
    assert images(tmp_path) == {"landscape/return"} and (tmp_path / "return.png").exists()


# What it can be asked


def test_another_norm_and_axes_with_signs(policy, tmp_path, undrawn):
    code, _, err = survey(policy, "--surface=surrogate", "--update_pairs=stored", "--norm=kl", "--points=4,3",
                            "--extent=-1,2,-0.5,0.5", f"--output={tmp_path}")
    assert code == 0, err
    found = stored(tmp_path, "surrogate").isel(update=0)
    np.testing.assert_allclose(found["x"], [-1, 0, 1, 2])
    np.testing.assert_allclose(found["y"], [-0.5, 0, 0.5])
    assert found.attrs["norm"] == "kl" and float(found["random_kl"]) == pytest.approx(float(found["step_kl"]), rel=1e-3)


def test_trpos_proposal_before_its_line_search(trpo, tmp_path, undrawn):
    path = trpo / "policies" / "000002"
    code, out, err = survey(f"--policy={path}", "--step=proposed", "--surface=slices", f"--output={tmp_path}",
                            "--update_pairs=stored,256", "--noise=independent")
    assert code == 0, err
    probed, found = probe.load(path), stored(tmp_path, "slices")
    proposed = np.linalg.norm(np.float64(probed.theta_proposed) - probed.theta)
    np.testing.assert_allclose(found["norm"], proposed)  # every direction at the step's
    assert list(found["move_kind"].values.astype(str)) == ["proposed", "recomputed"]
    assert (found.attrs["update_kind"], found.attrs["noise"], found.attrs["optimised"]) == ("proposed", "independent", "unclipped")
    said = " ".join(out.split())  # lines are wrapped
    assert "proposed step of 256 pairs" in said and "recomputed step of 256 pairs" in said


def test_independent_numbers_have_no_correlation_to_report(policy, tmp_path, undrawn):
    code, out, err = survey(policy, "--surface=return", "--noise=independent", "--update_pairs=stored", "--max_steps=15",
                            f"--output={tmp_path}")
    assert code == 0, err
    found = stored(tmp_path, "return")
    assert "correlation" not in found and found.attrs["noise"] == "independent" and "correlation" not in out
    assert found["episode_length"].max() == 15 and "episodes were cut by --max_steps: their returns are parts" in out


def test_a_direction_from_a_file_and_another_number_of_minibatches(ppo, policy, tmp_path, undrawn):
    theta = probe.load(ppo / "policies" / "000002").theta
    np.save(tmp_path / "direction.npy", np.full(theta.shape, 0.01, np.float32))
    code, out, err = survey(policy, f"--step={tmp_path}/direction.npy", "--update_pairs=stored,128", "--surface=surrogate",
                            "--minibatches=same size", f"--output={tmp_path}/o")
    assert code == 0, err
    found = stored(tmp_path / "o", "surrogate")
    assert list(found["update_kind"].values.astype(str)) == ["given", "recomputed"] and list(found["update"].values) == [0, 128]
    assert float(found["step_norm"][0]) == pytest.approx(0.01 * np.sqrt(theta.size))
    assert "given step, 256 pairs of the update" in out


def test_several_policies_have_directories_of_their_own_and_panels_together(ppo, tmp_path, undrawn):
    asked = [*(f"--policy={ppo}/policies/00000{k}" for k in (0, 2)), "--surface=return", "--update_pairs=stored",
             f"--output={tmp_path}"]
    code, out, err = survey(*asked)
    assert code == 0, err
    for k in (0, 2):
        assert stored(tmp_path / f"ppo-CartPole-v1-0-00000{k}-smoke", "return").attrs["iteration"] == k
    panels = {"panels-return", "panels-return-own-scales", "panels-return-3d"}
    assert {path.stem for path in tmp_path.glob("*.png")} == panels and images(tmp_path) == {f"landscape/{n}" for n in panels}
    assert f"panels of all policies: panels-return.png, panels-return-own-scales.png, panels-return-3d.png in {tmp_path}" in out


def test_panels_of_a_step_made_again_are_named_by_its_pairs(whole, tmp_path):
    found = stored(whole[0], "return")
    pairs = int(found["update"][1])
    said = pictures.panels([{"return": found}, {"return": found.assign_attrs(iteration=3)}], tmp_path)
    names = {f"panels-return{middle}{end}" for middle in ("", f"-recomputed-{pairs}") for end in ("", "-own-scales", "-3d")}
    assert {path.stem for path in tmp_path.glob("*.png")} == names
    assert all(f"{name}.png" in said for name in names)


def test_results_go_to_the_runs_diagnostics_unless_told_otherwise(ppo, tmp_path, undrawn, monkeypatch):
    asked = ["--surface=surrogate", "--update_pairs=stored"]
    run = tmp_path / "run"
    shutil.copytree(ppo, run)
    assert survey(f"--policy={run}/policies/000002", *asked)[0] == 0
    assert (run / "diagnostics" / "landscapes" / "000002-smoke" / "surrogate.nc").exists()
    assert storage.verify(run) == []  # sums of the results too
    shutil.copytree(ppo / "policies" / "000002", tmp_path / "alone")
    monkeypatch.chdir(tmp_path)
    assert survey("--policy=alone", *asked)[0] == 0
    assert (tmp_path / "landscapes" / "alone-smoke" / "surrogate.nc").exists()


# Policies of other code


def test_a_policy_of_plain_keras_is_surveyed_on_the_way_to_a_second_one(others, tmp_path):
    code, out, err = survey(f"--policy={others}/0.keras", "--env=Pendulum-v1", f"--step={others}/1.keras", "--max_steps=20",
                            "--update_pairs=stored", f"--output={tmp_path}")
    assert code == 0, err
    names = {"return", "slices", "concentration"}  # what a policy alone allows
    assert {path.stem for path in tmp_path.glob("*.nc")} == {path.stem for path in tmp_path.glob("*.png")} == names
    found = stored(tmp_path, "slices")
    assert (found.attrs["task"], found.attrs["algorithm"]) == ("Pendulum-v1", "foreign") and "surrogate" not in found
    step = foreign.direction(others / "1.keras", foreign.load(others / "0.keras", env="Pendulum-v1"))
    assert float(found["norm"][0]) == pytest.approx(float(np.linalg.norm(step)))
    assert "0.keras on Pendulum-v1" in out and "given step" in out and "surrogate" not in out


def test_scales_of_other_code_leave_out_what_cannot_be_recomputed(others, tmp_path, undrawn):
    # the scale's own update_pairs name a recomputed step; --update_pairs is not given
    arguments = [each for each in TINY if not each.startswith("--update_pairs")]
    code, _, err = command(landscape, *arguments, f"--policy={others}/exported-0", f"--policy={others}/exported-1",
                           "--env=Pendulum-v1", f"--step={others}/0.keras", "--surface=concentration", "--max_steps=20",
                           f"--output={tmp_path}")
    assert code == 2 and "exported-0 has norm 0, so it spans no plane: it leads nowhere" in err
    np.save(tmp_path / "step.npy", np.full(foreign.load(others / "0.keras", env="Pendulum-v1").theta.shape, 0.1))
    code, _, err = command(landscape, *arguments, f"--policy={others}/exported-0", f"--policy={others}/exported-1",
                           "--env=Pendulum-v1", f"--step={tmp_path}/step.npy", "--surface=concentration", "--max_steps=20",
                           f"--output={tmp_path}")
    assert code == 0, err
    assert {path.parent.name for path in tmp_path.glob("*/*.nc")} == {"exported-0-smoke", "exported-1-smoke"}


# What takes long


@pytest.fixture(scope="module")
def hopper(tmp_path_factory):
    return {algo: trained(tmp_path_factory.mktemp("runs") / algo, algo, "Hopper-v5") for algo in ("trpo", "ppo")}


def launched(*arguments):
    """The real command in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "launch.landscape", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_survey_killed_at_random_moments_ends_with_the_results_of_an_uninterrupted_one(hopper, tmp_path):
    asked = ["--scale=smoke", f"--policy={hopper['ppo']}/policies/000002", f"--to={hopper['ppo']}/iterates/000003.npz",
             "--pairs=4000", "--slice_pairs=2000", "--end_pairs=20000", "--sizes=200,2000", "--update_pairs=stored,1024"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = launched(*asked, f"--output={whole}")
    began, (_, err) = time.monotonic(), process.communicate(timeout=900)
    assert process.returncode == 0, err
    seconds, draw, kills = time.monotonic() - began, random.Random(0), 0
    for _ in range(5):
        process = launched(*asked, f"--output={killed}")
        try:  # from the imports to the drawing
            process.communicate(timeout=draw.uniform(0.15, 0.5) * seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
    assert kills > 0
    process = launched(*asked, f"--output={killed}")
    _, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    assert_equal_surveys(whole, killed, (*PLAYED, "film"))
    for picture in whole.glob("*.png"):
        assert (killed / picture.name).read_bytes() == picture.read_bytes()


@pytest.mark.long
def test_the_real_command_line_announces_on_standard_output_and_is_quiet(policy, tmp_path):
    arguments = [*TINY, policy, "--surface=surrogate", "--update_pairs=stored", f"--output={tmp_path}"]
    done = subprocess.run([sys.executable, "-m", "launch.landscape", *arguments], capture_output=True, text=True, timeout=250,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "0 %, surrogate of ppo on CartPole-v1, seed 0, iteration 2\n"
    assert "first look at" in done.stdout and f"stored in {tmp_path}: surrogate.nc" in done.stdout


@pytest.mark.long
@pytest.mark.timeout(600)
def test_ctrl_c_ends_a_survey_with_one_sentence_wherever_it_is(hopper, tmp_path):
    # so much that none of the attempts comes to its end, on whatever machine
    asked = ["--scale=smoke", f"--policy={hopper['trpo']}/policies/000002", "--pairs=1000000"]
    for seconds in (1, 4, 9, 14, 20):
        process = launched(*asked, f"--output={tmp_path}")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert err.splitlines()[-1] == "launch.landscape: interrupted; what was stored stays, and the same command goes on."
        assert "Traceback" not in err


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("algo", ["trpo", "ppo"])
def test_scale_smoke_of_a_hopper_is_a_matter_of_a_minute_and_is_quiet(hopper, algo, tmp_path):
    process = launched("--scale=smoke", f"--policy={hopper[algo]}/policies/000002", f"--output={tmp_path}")
    _, err = process.communicate(timeout=800)
    assert process.returncode == 0, err
    assert [line for line in err.splitlines() if not line.endswith(f" of {algo} on Hopper-v5, seed 0, iteration 2")] == []
    assert {path.stem for path in tmp_path.glob("*.png")} == {*PLAYED, "comparison"}
