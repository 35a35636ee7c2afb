"""Bad input to launch.landscape: exit code 2, one sentence that names the thing, at once where TensorFlow is not needed."""

import json
import os
import shutil
import subprocess
import sys
import time

import gymnasium as gym
import keras
import numpy as np
import pytest
import tensorflow as tf

from launch import landscape
from tests.diagnostics import handmade
from tests.launch.grounds import survey
from tests.launch.instruments.landscapes.test_moves import CONFIG, refused
from tfpg import storage
from tfpg.config import Ppo
from tfpg.diagnostics import foreign

P = "--policy={run}/policies/000007"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of hand-made policies, a Keras policy and files beside it."""
    run = tmp_path_factory.mktemp("run")
    storage.write_json(run / "config.json", {})
    made = handmade.Made(handmade.config("CartPole-v1", algorithm=Ppo(minibatches=2)))
    made.save(run / "policies" / "000007")
    shutil.copytree(run / "policies" / "000007", run / "elsewhere" / "000007")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    for folder in ("a", "b"):
        (run / folder).mkdir()
        model.save(run / folder / "other.keras")
    tf.saved_model.save(tf.Module(), str(run / "bare"))
    np.save(run / "short.npy", np.ones(3, np.float32))
    (run / "notes.txt").touch()
    return run


# Without TensorFlow

AT_ONCE = [
    ([], "which policy? --policy=DIR names the directory of a SavedModel"),
    (["--policy="], "which policy?"),
    (["--policy={run}"], "{run} is a run, --policy takes one of its policies: choose one of 000007 in {run}/policies."),
    (["--policy={run}/policies/000008"], "there is no directory {run}/policies/000008: choose one of 000007 in {run}/policies."),
    (["--policy={run}/absent.keras"], "there is no file {run}/absent.keras."),
    (["--policy={run}/policies"], "{run}/policies is no SavedModel but holds such: choose one of 000007 in {run}/policies."),
    (["--policy={run}/a/other.keras"], "{run}/a/other.keras was not written by tfpg: --env names the task it acts in."),
    (["--policy={run}/bare"], "{run}/bare was not written by tfpg: --env names the task it acts in."),
    (["--polcy=x"], "there is no flag --polcy: did you mean --policy?"),
    ([P, "extra"], "the argument 'extra' stands alone"),
    ([P, "--scale=smal"], "there is no scale=smal: did you mean small?"),
    ([P, "--surface=returns"], "there is no surface=returns: did you mean return?"),
    ([P, "--surface=return,landscape"], "there is no surface=landscape: choose one of return, surrogate, slices"),
    ([P, "--surface=,"], "surface is empty: choose one of return, surrogate, slices, concentration, updates, film."),
    ([P, "--surface=film"], "surface=film needs to know where the film goes: --to=POLICY"),
    ([P, "--surface=return", "--to={run}/policies/000007"], "has no effect on surface=return: add film, the way there."),
    ([P, "--to={run}/absent"], "there is no directory {run}/absent."),
    ([P, "--to={run}"], "{run} is a run, --to takes one of its policies: choose one of 000007"),
    ([P, "--to="], "which policy? --to=DIR"),
    ([P, "--norm=filtered"], "norm=filtered is not known: did you mean filter?"),
    ([P, "--noise=commn"], "noise=commn is not known: did you mean common?"),
    ([P, "--minibatches=64"], "minibatches=64 is not known: choose one of same number, same size."),
    ([P, "--step=propsed"], "step=propsed is neither taken nor proposed, and there is no file or directory"),
    ([P, "--step=propsed"], "did you mean proposed?"),
    ([P, "--step={run}"], "{run} is a run, --step takes one of its policies"),
    ([P, "--points=2"], "points=2 is too few for extent=0,3: 0, 1, 3 make 3."),
    ([P, "--points=3,3,3"], "points=3,3,3 has 3 numbers: give N, or NX,NY."),
    ([P, "--points=many"], "points=many is no list of whole numbers above 0"),
    ([P, "--points=-9"], "points=-9 is no list of whole numbers above 0"),
    ([P, "--extent=1,3"], "extent=1,3 must hold 0, from where every difference is taken, and end above it."),
    ([P, "--extent=3,0"], "extent=3,0 must hold 0"),
    ([P, "--extent=0,0"], "extent=0,0 must hold 0"),
    ([P, "--extent=wide"], "extent=wide is no extent: give LOW,HIGH or XLOW,XHIGH,YLOW,YHIGH, for example -1,3."),
    ([P, "--slice_extent=-1,3,-1,3"], "slice_extent=-1,3,-1,3 is no extent: give LOW,HIGH, for example -1,3."),
    ([P, "--slice_points=3"], "slice_points=3 is too few for slice_extent=-1,3: -1, 0, 1, 3 make 4."),
    ([P, "--sizes=2000,200"], "sizes=2000,200 must rise: each sample is a part of the next."),
    ([P, "--sizes=0,200"], "sizes=0,200 is no list of whole numbers above 0, such as 2000,20000."),
    ([P, "--pairs=0"], "flag --pairs=0: 0 is not a whole number of at least 1."),
    ([P, "--pairs=-5"], "flag --pairs=-5: -5 is not a whole number of at least 1."),
    ([P, "--pairs=lots"], "flag --pairs=lots: lots is not a whole number of at least 1."),
    ([P, "--pairs=1.5"], "flag --pairs=1.5: 1.5 is not a whole number of at least 1."),
    ([P, "--directions=0"], "flag --directions=0: 0 is not a whole number of at least 1."),
    ([P, "--end_pairs=0"], "flag --end_pairs=0"),
    ([P, "--slice_pairs=0"], "flag --slice_pairs=0"),
    ([P, "--heldout_pairs=1"], "flag --heldout_pairs=1: 1 is not a whole number of at least 2."),
    ([P, "--repeats=1"], "flag --repeats=1: 1 is not a whole number of at least 2."),
    ([P, "--repeat_episodes=7"], "flag --repeat_episodes=7: 7 is not a whole number of at least 8."),
    ([P, "--max_steps=0"], "flag --max_steps=0"),
    ([P, "--seed=-1"], "flag --seed=-1"),
    ([P, "--seed=4294967296"], "flag --seed=4294967296: 4294967296 is not a whole number from 0 to 4294967295."),
    ([P, "--update_pairs=stord"], "update_pairs=stord is neither stored nor a number of pairs, such as stored,100000."),
    ([P, "--update_pairs="], "update_pairs= is neither stored nor a number of pairs"),
    ([P, "--update_pairs=stored,-64"], "update_pairs=-64 is neither stored nor a number of pairs"),
    ([P, "--update_pairs=64,64"], "update_pairs=64,64 names one twice."),
    ([P, "--env=CartPole-v1"], "env has no effect: the policies were written by tfpg, which stored their task and all else."),
    ([P, "--log_std=-1"], "log_std has no effect"),
    (["--policy={run}/a/other.keras", "--env=CartPole-v1"], "other.keras carries no step: --step takes a second policy of the same make"),
    (["--policy={run}/a/other.keras", "--env=CartPole-v1", "--step={run}/b/other.keras", "--surface=surrogate"],
     "surface=surrogate needs the batch and the optimiser's state, which {run}/a/other.keras does not carry: choose return, slices "),
    (["--policy={run}/a/other.keras", "--env=CartPole-v1", "--step={run}/b/other.keras", "--update_pairs=stored,64"],
     "update_pairs=stored,64 needs the optimiser's state"),
    (["--policy={run}/a/other.keras", "--env=CartPole-v1", "--step={run}/b/other.keras", "--norm=kl"], "choose norm=step."),
    (["--policy={run}/a/other.keras", "--env=CartPole-v1", "--to={run}/b/other.keras"], "give --step the second policy."),
    (["--policy={run}/a/other.keras", "--env=CartPole-v1", "--env_args=gravity=9", "--step={run}/short.npy"],
     "env_args=gravity=9 is not a JSON object"),
]


@pytest.fixture(scope="module")
def answers(run):
    """Exit code, standard output and error of each, all in one process that must not import TensorFlow."""
    code = """
import contextlib, io, json, sys
from launch import landscape
found = []
for arguments in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = landscape.main(arguments)
    found.append((code, out.getvalue(), err.getvalue(), "tensorflow" in sys.modules))
json.dump(found, sys.stdout)
"""
    asked = json.dumps([[argument.format(run=run) for argument in arguments] for arguments, _ in AT_ONCE])
    done = subprocess.run([sys.executable, "-c", code], input=asked, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("index", range(len(AT_ONCE)), ids=[" ".join(arguments[-1:]) for arguments, _ in AT_ONCE])
def test_bad_input_is_one_sentence_at_once(run, answers, index):
    code, out, err, slow = answers[index]
    words = AT_ONCE[index][1].format(run=run)
    assert (code, out, slow) == (2, "", False)
    assert err.startswith("launch.landscape: ") and words in err and err.count("\n") == 1


def test_help_is_answered_at_once_and_names_every_flag_with_its_default():
    began = time.process_time()
    code = "import sys; from launch import landscape; landscape.main(['--help']); sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "COLUMNS": "100"})
    assert (done.returncode, done.stderr) == (0, "") and time.process_time() - began < 5
    text = done.stdout
    assert text.startswith("usage: python -m launch.landscape [--name=value …]\n")
    assert max(map(len, text.splitlines())) <= 100 and not any("  " in line.strip() for line in text.splitlines())
    entries = {entry.split("=")[0]: entry for entry in text.split("\n  --")[1:]}
    flags = command_flags()
    assert entries.keys() == flags
    assert {name for name, entry in entries.items() if "default" not in entry} == {"policy"}
    assert entries["policy"].rstrip().endswith("needed")


def command_flags():
    from absl import flags

    values = flags.FlagValues()
    landscape.define(values)
    return set(values)


@pytest.mark.parametrize("scale", ["smoke 1000", "small 20000", "paper 1000000"])
def test_help_tells_the_budgets_of_every_scale(capsys, scale):
    assert landscape.main(["--help"]) == 0
    entry = capsys.readouterr().out.split("--pairs=INTEGER")[1].split("\n  --")[0]
    assert scale in " ".join(entry.split())


@pytest.mark.parametrize("name", ["policies/000007", "a/other.keras", "bare", "elsewhere/000007", "policies", "notes.txt"])
def test_what_is_other_codes_is_judged_alike_with_and_without_tensorflow(run, name):
    from launch.shared import policies

    assert policies.is_foreign(run / name) == foreign.is_foreign(run / name)


# With it


def sentence(code, out, err):
    """What is said of bad input, which is all that is said."""
    assert code == 2 and err.count("\n") == 1 and err.startswith("launch.landscape: "), err
    return err.removeprefix("launch.landscape: ").strip()


@pytest.mark.parametrize(("file", "words"), [
    ("variables/variables.data-00000-of-00001", "variables.data-00000-of-00001 is damaged: it differs from its sum"),
    ("saved_model.pb", "saved_model.pb is damaged"), ("SHA256SUMS", "is damaged"),
    ("metadata.json", "metadata.json is damaged: it differs from its sum")])
def test_a_flipped_byte_is_found(run, tmp_path, file, words):
    shutil.copytree(run / "policies" / "000007", tmp_path / "p")
    data = bytearray((tmp_path / "p" / file).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "p" / file).write_bytes(data)
    assert words in sentence(*survey(f"--policy={tmp_path}/p", f"--output={tmp_path}/o"))
    assert not (tmp_path / "o").exists()


def test_a_saved_model_without_what_a_policy_needs_is_refused(run, tmp_path):
    asked = [f"--policy={run}/bare", "--env=CartPole-v1", f"--step={run}/short.npy", f"--output={tmp_path}/o"]
    arguments = ["--update_pairs=stored", *asked]
    assert str(run / "bare") in sentence(*survey(*arguments))


def test_a_task_that_is_not_installed_or_has_changed_is_named(tmp_path):
    class Task(gym.Env):
        def __init__(self, size=3, render_mode=None):
            self.observation_space, self.action_space = gym.spaces.Box(-1, 1, (size,)), gym.spaces.Box(-1, 1, (1,))

    try:
        gym.register("Changing-v0", Task)
        directory = handmade.Made(handmade.config("Changing-v0")).save(tmp_path / "000007")
        gym.register("Changing-v0", lambda render_mode=None: Task(size=5))
        asked = [f"--policy={directory}", f"--output={tmp_path}/o"]
        assert "observations of size 3, but Changing-v0 gives observations of size 5" in sentence(*survey(*asked))
        del gym.registry["Changing-v0"]
        assert "there is no task Changing-v0" in sentence(*survey(*asked))
    finally:
        gym.registry.pop("Changing-v0", None)


def test_another_task_than_the_keras_policys_is_named(run, tmp_path):
    asked = [f"--policy={run}/a/other.keras", f"--step={run}/b/other.keras", "--update_pairs=stored", f"--output={tmp_path}/o"]
    assert "takes observations of size 4, but Pendulum-v1 gives observations of size 3" in sentence(*survey(*asked, "--env=Pendulum-v1"))
    assert "did you mean CartPole-v1?" in sentence(*survey(*asked, "--env=CartPol-v1"))


def test_policies_that_would_share_a_directory_are_refused(run, tmp_path):
    asked = ["--update_pairs=stored", f"--output={tmp_path}/o"]
    both = [f"--policy={run}/a/other.keras", f"--policy={run}/b/other.keras", "--env=CartPole-v1", f"--step={run}/short.npy"]
    assert "would both be stored in" in sentence(*survey(*asked, *both))
    twice = [f"--policy={run}/policies/000007"] * 2
    assert sentence(*survey(*asked, *twice)) == f"policy={run}/policies/000007 is given twice."


def test_a_direction_of_another_length_is_refused_before_the_first_look(run, tmp_path):
    code, out, err = survey(f"--policy={run}/policies/000007", f"--step={run}/short.npy", f"--output={tmp_path}/o")
    assert "short.npy has a step of shape [3], but the policy has" in sentence(code, out, err)
    assert not (tmp_path / "o").exists()


def test_a_film_to_another_network_or_task_is_refused_shortly(run, tmp_path):
    other = handmade.Made(handmade.config("Pendulum-v1")).save(tmp_path / "000008")
    asked = [f"--policy={run}/policies/000007", "--surface=film", f"--output={tmp_path}/o"]
    said = sentence(*survey(*asked, f"--to={other}"))
    assert said == (f"{other} was made with env=Pendulum-v1, {run}/policies/000007 with CartPole-v1: a line between them is "
                    "no film, so choose an iteration of the same run.")
    assert "is neither a policy's directory nor an iterate" in sentence(*survey(*asked, f"--to={run}/notes.txt"))


def test_a_refused_step_is_told_at_once_and_the_proposal_takes_its_place_in_the_same_directory(tmp_path):
    made = handmade.Made(CONFIG)
    made.iteration = refused(made)
    directory = made.save(tmp_path / "000007")
    asked = [f"--policy={directory}", "--surface=surrogate", "--update_pairs=stored", f"--output={tmp_path}/o"]
    said = sentence(*survey(*asked))
    assert "has norm 0" in said and "TRPO refused it, and --step=proposed shows what the line search refused." in said
    code, out, err = survey(*asked, "--step=proposed")
    assert code == 0, err
    assert (tmp_path / "o" / "surrogate.nc").exists() and "proposed step of 24 pairs" in out


def test_a_refused_step_does_not_keep_from_what_needs_none(tmp_path):
    made = handmade.Made(CONFIG)
    made.iteration = refused(made)
    directory = made.save(tmp_path / "000007")
    code, out, err = survey(f"--policy={directory}", "--surface=updates", "--dry_run", f"--output={tmp_path}/o")
    assert code == 0, err
    assert "updates of 24 pairs" in out
