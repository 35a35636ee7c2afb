"""The command: a zip of Stable-Baselines3 becomes a SavedModel, which every instrument for a policy alone then looks at."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from launch import evaluate, gradients, import_policy, landscape, values
from launch.shared import pictures
from tests.diagnostics import plain_keras
from tests.diagnostics.like_tf_agents import Policy
from tests.importing.files import FIXTURES, answers, changed, pickled
from tests.importing.test_pickles import Evil
from tests.launch.grounds import TINY, command, stored
from tfpg import sums
from tfpg.diagnostics import results

HOPPER = [f"--from={FIXTURES}/ppo.zip", "--env=Hopper-v5"]
TRUSTED = [*HOPPER, f"--vec_normalize={FIXTURES}/ppo.pkl", "--trust_pickle"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two stages of one training, imported; a policy with discrete actions; what other code saved."""
    folder = tmp_path_factory.mktemp("imported")
    for name, env, trusted in (("ppo", "Hopper-v5", True), ("later", "Hopper-v5", True), ("a2c", "CartPole-v1", False)):
        more = [f"--vec_normalize={FIXTURES}/{name}.pkl", "--trust_pickle"] if trusted else []
        code, _, err = command(import_policy, f"--from={FIXTURES}/{name}.zip", f"--env={env}", f"--output={folder}/{name}", *more)
        assert code == 0, err
    for i, model in enumerate(plain_keras.train(epochs=(1, 1))):
        model.save(folder / f"{i}.keras")
    for seed in (0, 1):
        Policy(3, 1, seed=seed).save(folder / f"agents-{seed}")
    return folder


def test_what_was_converted_and_what_was_left_out_is_said(tmp_path, capsys):
    assert import_policy.main([*TRUSTED, f"--output={tmp_path}/p"]) == 0
    said = capsys.readouterr().out
    for words in ("MlpPolicy of Stable-Baselines3 2.9.2, 128 steps of experience, for Hopper-v5", "11 → 16 and 8 hidden units (tanh)",
                  "normalised by VecNormalize, clipped at ±2", "clipped to the action space", "left out: optimisers"):
        assert words in said
    assert f"python -m launch.evaluate --policy={tmp_path}/p" in said
    model = tf.saved_model.load(f"{tmp_path}/p")
    np.testing.assert_allclose(model.greedy(answers("ppo")["obs"]), answers("ppo")["greedy"], rtol=1e-5, atol=1e-6)
    assert import_policy.main([*TRUSTED, f"--output={tmp_path}/p"]) == 0  # an import may be repeated


def test_the_real_command_line_needs_no_torch_and_is_quiet(tmp_path):
    done = subprocess.run([sys.executable, "-m", "launch.import_policy", *TRUSTED, f"--output={tmp_path}/p"],
                          capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "p" / sums.IMPORTED).exists()


def refused(words, *arguments):
    code, out, err = command(import_policy, *map(str, arguments))
    assert code == 2 and words in err and err.count("\n") == 1 and out == ""


@pytest.mark.parametrize(("arguments", "words"), [
    ([], "which policy? --from=FILE"),
    (["--from={F}/ppo.zip"], "where to? --output=DIR"),
    (["--from={F}/ppo.zip", "--output={T}/p"], "which task does it act in? --env=TASK"),
    (["--from={F}/absent.zip", "--output={T}/p", "--env=Hopper-v5"], "there is no file"),
    (["--from={F}", "--output={T}/p", "--env=Hopper-v5"], "is a directory and no SavedModel"),
    ([*HOPPER, "--output={T}/p"], "was trained behind VecNormalize: --vec_normalize=FILE --trust_pickle names its statistics"),
    ([*HOPPER, "--vec_normalize={F}/ppo.pkl", "--output={T}/p"], "is a pickle, which can hold more than statistics: --trust_pickle"),
    ([*HOPPER, "--vec_normalize={F}/trpo.pkl", "--trust_pickle", "--output={T}/p"], "statistics of observations of shape [3], but the policy"),
    (["--from={F}/elu.zip", "--env=Pendulum-v1", "--trust_pickle", "--output={T}/p"], "trust_pickle has no effect without"),
    (["--from={F}/elu.zip", "--env=Hopper-v5", "--output={T}/p"], "sees 3 numbers, but Hopper-v5 gives observations of size 11"),
    (["--from={F}/a2c.zip", "--env=InvertedPendulum-v5", "--output={T}/p"], "has 2 discrete actions, but InvertedPendulum-v5 takes actions"),
    (["--from={F}/a2c.zip", "--env=CartPol-v1", "--output={T}/p"], "did you mean CartPole-v1"),
    (["--from={F}/a2c.zip", "--env=CartPole-v1", "--output={F}"], "is there already and no imported policy: it is not replaced"),
    (["--form=x"], "there is no flag --form: did you mean --from?"),
])
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, words, tmp_path):
    refused(words, *(argument.format(F=FIXTURES, T=tmp_path) for argument in arguments))


def test_a_policy_that_needs_no_import_is_told_so(folder, tmp_path):
    for name in ("0.keras", "agents-0"):
        refused(f"{folder}/{name} needs no import: launch.evaluate and launch.landscape read it", f"--from={folder}/{name}", "--env=Pendulum-v1",
                f"--output={tmp_path}/p")


def test_one_that_names_its_task_is_told_no_task(tmp_path):
    path = tmp_path / "000450"
    path.mkdir()
    for name in ("saved_model.pb", sums.METADATA):
        (path / name).touch()
    refused(f"{path} needs no import: launch.evaluate and launch.landscape read it, --policy={path}.\n", f"--from={path}",
            "--env=Pendulum-v1", f"--output={tmp_path}/p")


def test_a_malicious_pickle_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = pickle.dumps(Evil(os.system, "touch ran"))
    (tmp_path / "v.pkl").write_bytes(evil)
    refused("it names posix.system, which no such file needs", *HOPPER, f"--vec_normalize={tmp_path}/v.pkl", "--trust_pickle", "--output=p")
    path = changed(tmp_path / "m.zip", {"policy_class": pickled(evil)})
    refused("has a policy class of its own, code that is not read", f"--from={path}", "--env=Hopper-v5", "--vec_normalize=none", "--output=p")
    assert not (tmp_path / "ran").exists() and not (tmp_path / "p").exists()


def test_help_and_refusals_are_answered_without_tensorflow():
    code = ("import sys; from launch import import_policy; code = import_policy.main(['--help']); "
            f"other = import_policy.main(['--from={FIXTURES}/ppo.zip', '--env=Hopper-v5', '--output=/nowhere/p']); "
            "sys.exit(code or other != 2 or 'tensorflow' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--trust_pickle" in done.stdout and "no code of the file is run" in " ".join(done.stdout.split())


# Instruments

OTHERS = {  # policy, second policy, flags that say how it is read
    "imported": ("ppo", "later", ()),
    "keras": ("0.keras", "1.keras", ("--env=Pendulum-v1",)),
    "agents": ("agents-0", "agents-1", ("--env=Pendulum-v1", "--log_std=-1")),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_every_kind_of_policy_is_evaluated(kind, folder, tmp_path):
    name, _, options = OTHERS[kind]
    code, out, err = command(evaluate, f"--policy={folder}/{name}", *options, "--episodes=3", "--max_steps=30", f"--output={tmp_path}")
    assert code == 0, err
    [file] = tmp_path.glob("*.nc")
    found = results.load(file)
    assert found.sizes == {"policy": 2, "episode": 3} and found.attrs["algorithm"] == "foreign"
    assert f"{name} on {found.attrs['task']}" in out and f"{float(found['mean_return'][0]):.1f} ±" in out


@pytest.mark.parametrize("kind", OTHERS)
def test_every_kind_of_policy_is_surveyed_on_the_way_to_a_second_one(kind, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "draw", lambda *_: None)
    name, second, options = OTHERS[kind]
    arguments = [each for each in TINY if not each.startswith("--update_pairs")]
    code, _, err = command(landscape, *arguments, f"--policy={folder}/{name}", f"--step={folder}/{second}", *options, "--max_steps=20",
                           "--surface=return,slices,concentration", f"--output={tmp_path}")
    assert code == 0, err
    assert {path.stem for path in tmp_path.glob("*.nc")} == {"return", "slices", "concentration"}
    assert float(stored(tmp_path, "slices")["norm"][0]) > 0


def test_discrete_actions_are_evaluated_too(folder, tmp_path):
    code, _, err = command(evaluate, f"--policy={folder}/a2c", "--episodes=3", f"--output={tmp_path}")
    assert code == 0, err
    assert results.load(tmp_path / "evaluation-a2c.nc").attrs["imported_version"] == "2.9.2"


def test_instruments_that_need_a_training_say_so(folder):
    for instrument, words in ((gradients, "gradients need the value net"), (values, "carries no value net")):
        code, _, err = command(instrument, f"--policy={folder}/ppo")
        assert code == 2 and words in err
    code, _, err = command(landscape, f"--policy={folder}/ppo", "--surface=surrogate", f"--step={folder}/later")
    assert code == 2 and "surface=surrogate needs the batch and the optimiser's state" in err
    code, _, err = command(evaluate, f"--policy={folder}/0.keras")
    assert code == 2 and "was not written by tfpg: --env names the task it acts in." in err
    code, _, err = command(evaluate, f"--policy={folder}/ppo", "--log_std=0")
    assert code == 2 and "was imported with all that it needs: leave the option log_std away" in err
