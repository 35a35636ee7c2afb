"""launch.claims: from run directories to verdicts; damaged and mismatched results are named."""

import json
import shutil

import pytest

from launch import claims, steps, trust_region
from launch.shared import gathering
from tests.launch.grounds import command, survey, trained
from tfpg import storage
from tfpg.diagnostics import results


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two agents of one algorithm, looked at."""
    directory = tmp_path_factory.mktemp("study")
    for seed in (0, 1):
        run = directory / "runs" / f"trpo-{seed}"
        trained(run, "trpo", "CartPole-v1", f"--seed={seed}")
        for looked in (command(trust_region, f"--run={run}", "--heldout_every=1"),
                       command(steps, f"--run={run}", "--scale=smoke", "--iterations=0,2", "--count=2", "--spread=2", "--episodes=4")):
            assert looked[0] == 0, looked[2]
    code, _, err = survey(f"--policy={directory / 'runs/trpo-0/policies/000002'}", "--surface=slices", "--directions=16", "--slice_points=5")
    assert code == 0, err
    return directory


@pytest.fixture
def copied(study, tmp_path):
    return shutil.copytree(study, tmp_path / "study")


def test_a_study_is_judged_from_its_directory(study):
    code, out, err = command(claims, str(study))
    assert code == 0, err
    assert out.startswith("2 runs")
    assert "C5  TRPO keeps its mean-KL region" in out
    assert "CartPole-v1, trpo: undecided" in out
    assert "0 agents" in out  # three iterations are too few for a 95 % quantile
    assert "not judged, for want of results: C1 (landscape), C4 (landscape), C6 (trust_region), C8 (gradients)" in out


def test_steps_and_landscapes_are_judged_where_instruments_left_them(study):
    _, out, _ = command(claims, str(study))
    assert "trpo: mean gain of an update after iteration 0, of the final return" in out and "learning curve rose" in out
    assert "surrogate after the step on its own pairs" in out and "own pairs: rank correlation of surrogate and return along the step" in out
    assert "published: at later iterations going in the step direction lowers the return" in out


def test_what_is_gathered_is_without_the_episodes_it_was_made_from(study):
    found = gathering.results([study])
    assert [len(found.landscapes[surface]) for surface in gathering.SURFACES] == [0, 0, 1, 0, 0]
    assert len(found.steps) == 2 and found.scores.keys() == found.best_scores.keys() == {"CartPole-v1"}
    for dataset in (*found.steps, *found.landscapes["slices"]):
        assert not {"episode", "parameter", "cluster"} & set(dataset.dims)


def test_final_returns_stand_below_with_their_best_iterations(study):
    _, out, _ = command(claims, str(study))
    assert "final returns" in out and "trpo on CartPole-v1       2" in out
    assert "there," not in out  # nobody published CartPole's
    _, out, _ = command(claims, str(study), "--json")
    row, = json.loads(out)["final_returns"]
    assert (row["preset"], row["agents"], row["published"]) == ("trpo", 2, None)
    assert row["best"]["mean"] >= row["mean"]["mean"]


def test_json_is_one_object_with_every_number(study):
    code, out, _ = command(claims, f"--dir={study}", "--json")
    found = json.loads(out)
    assert code == 0
    verdict, = [each for each in found["verdicts"] if each["claim"] == "C5"]
    assert (verdict["claim"], verdict["task"], verdict["verdict"]) == ("C5", "CartPole-v1", "undecided")
    assert verdict["statements"][0]["agents"] == 0
    assert verdict["statements"][0]["value"] is None
    assert len(found["runs"]) == 2


def test_a_damaged_result_is_passed_over_and_named(copied):
    path = copied / "runs/trpo-0/diagnostics/trust_region/trpo-0.nc"
    path.write_bytes(path.read_bytes()[:1000])
    code, out, _ = command(claims, str(copied))
    assert code == 0
    assert f"passed over: {path} is damaged" in out
    assert out.startswith("2 runs")  # its score still counts


@pytest.mark.parametrize("change", [
    lambda found: found.isel(iteration=slice(0, 0)), lambda found: found.assign(mean_kl=found["mean_kl"].astype(str)),
    lambda found: found.drop_vars("pool"), lambda found: found.rename(pool="pond")])
def test_a_result_of_other_contents_is_named_and_costs_no_other_verdict(change, copied):
    path = copied / "runs/trpo-0/diagnostics/trust_region/trpo-0.nc"
    results.save(change(results.load(path)), path)
    code, out, err = command(claims, str(copied))
    assert code == 0 and "Traceback" not in err
    assert "is of another instrument or version" in out or "could not be judged" in out
    assert "final returns" in out


def test_a_result_of_another_run_is_passed_over_and_named(copied):
    runs = copied / "runs"
    shutil.copy(runs / "trpo-0/diagnostics/trust_region/trpo-0.nc", runs / "trpo-1/diagnostics/trust_region/trpo-1.nc")
    _, out, _ = command(claims, str(copied))
    assert "trpo-1.nc is of another run: trpo on CartPole-v1, seed 0" in out


def test_a_damaged_configuration_costs_its_run_alone(copied):
    (copied / "runs/trpo-1/config.json").write_text('{"a": 1}')
    code, out, _ = command(claims, str(copied))
    assert code == 0
    assert "passed over: " in out and "config.json is damaged" in out
    assert out.startswith("1 runs")


def test_a_run_that_is_not_finished_does_not_count(copied):
    (copied / "runs/trpo-1/finished.json").unlink()
    _, out, _ = command(claims, str(copied))
    assert "trpo-1 is not finished: of it the learning curve counts alone" in out


def test_agents_that_differ_in_a_setting_are_not_averaged(copied):
    config = copied / "runs/trpo-1/config.json"
    record = json.loads(config.read_text())
    record["settings"]["trpo.delta"] = 0.5
    storage.write_json(config, record)
    code, out, err = command(claims, str(copied))
    assert code == 0, err
    assert "2 runs of variants, whose settings are not their preset's, are not judged" in out and "undecided" not in out


def test_one_agent_given_twice_counts_once(copied):
    shutil.copytree(copied / "runs/trpo-1", copied / "runs/trpo-1-again")
    code, out, _ = command(claims, str(copied))
    assert code == 0
    assert out.startswith("2 runs") and "trpo-1-again is an agent that is there already, under another name: it counts once" in out


@pytest.mark.parametrize(("arguments", "sentence"), [
    ([], "which results?"), (["nowhere"], "there is no directory nowhere"), ([str(__file__).rpartition("/")[0]], "holds no run")])
def test_bad_input_is_one_sentence(arguments, sentence):
    code, _, err = command(claims, *arguments)
    assert code == 2
    assert sentence in err
