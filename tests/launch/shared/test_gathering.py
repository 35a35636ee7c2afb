"""Which runs are agents, which are variants, and which results are what they say?"""

import contextlib
import json
import shutil

import pytest

from launch import claims
from launch.instruments.landscapes import plan
from launch.shared import gathering
from tests.launch import madeup
from tfpg.diagnostics import results
from tfpg.errors import UserError


def names(runs):
    return sorted(run.path.name for run in runs)


def test_an_agent_that_is_there_twice_counts_once_and_both_are_known(tmp_path):
    madeup.run(tmp_path / "runs" / "ppo-0")
    madeup.run(tmp_path / "runs" / "ppo-0-clip0-scale1")
    found = gathering.results([tmp_path])
    assert names(found.runs) == ["ppo-0"] and names(found.copies) == ["ppo-0-clip0-scale1"]
    assert any("is there already" in note for note in found.notes) and found.missing == []


def test_every_surface_of_a_landscape_is_known_to_who_reads_it(tmp_path):
    """Else the report's chapter on all landscapes is lost with it."""
    made = madeup.run(tmp_path, "trpo", looks=("landscapes",))
    path = next(made.diagnostics.glob("landscapes/*/return.nc"))
    for surface in plan.SURFACES:
        with contextlib.suppress(UserError):  # that it is another surface's
            gathering.own_result(path, made.config, surface)


def test_runs_with_other_settings_beside_the_presets_are_variants(tmp_path):
    madeup.run(tmp_path / "a")
    madeup.run(tmp_path / "b", **{"code_level.anneal": "false"})
    found = gathering.results([tmp_path])
    assert names(found.runs) == ["a"] and names(found.variants) == ["b"]


def test_runs_that_all_have_the_same_settings_of_their_own_are_agents_and_it_is_said(tmp_path):
    for seed in (0, 1):
        madeup.run(tmp_path / str(seed), seed=seed, **{"code_level.anneal": "false"})
    found = gathering.results([tmp_path])
    assert names(found.runs) == ["0", "1"]
    assert found.notes == ["ppo on Hopper-v5 has settings of its own, not the preset's: code_level.anneal=False."]


def test_runs_of_several_settings_none_of_which_is_the_presets_are_all_variants(tmp_path):
    madeup.run(tmp_path / "a", **{"code_level.anneal": "false"})
    madeup.run(tmp_path / "b", **{"code_level.value_clip": "0.2"})
    found = gathering.results([tmp_path])
    assert found.runs == [] and names(found.variants) == ["a", "b"]


def test_an_unfinished_run_of_other_settings_is_not_averaged_with_finished_ones(tmp_path):
    madeup.run(tmp_path / "a")
    madeup.run(tmp_path / "b", seed=1, finished=False)
    madeup.run(tmp_path / "c", seed=2, finished=False, **{"rollout.num_steps": "4096"})
    found = gathering.results([tmp_path])
    assert names(found.unfinished) == ["b"]
    assert any("c is not finished, and not shown" in sentence and "rollout.num_steps" in sentence for sentence in found.missing)


def test_a_study_in_which_nothing_was_trained_is_empty_and_a_directory_of_nothing_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        gathering.results([tmp_path])
    (tmp_path / "study.json").write_text(json.dumps({"name": "a", "about": "b", "jobs": {}}))
    assert gathering.results([tmp_path]).runs == []


@pytest.mark.parametrize(("labels", "sentence"), [
    ({"run_seed": "abc"}, "do not say what it is of"), ({"iteration": "<!--<script>"}, "do not say what it is of"), ({"iteration": -1}, "of which iteration"),
    ({"plan": "("}, "do not say what it is of"), ({"plan": "3"}, "with which plan"), ({"iteration": None}, "of which iteration"),
    ({"run_seed": 7}, "is of another run")])
def test_labels_that_are_damaged_cost_their_own_result_alone(tmp_path, labels, sentence):
    made = madeup.run(tmp_path / "a", looks=("gradients",))
    path = made.diagnostics / "gradients" / "000150-small" / "gradients.nc"
    dataset = results.load(path)
    dataset.attrs |= {name: value for name, value in labels.items() if value is not None}
    for name in (name for name, value in labels.items() if value is None):
        del dataset.attrs[name]
    results.save(dataset, path)
    found = gathering.results([tmp_path])
    assert len(found.gradients) == 1 and len(found.missing) == 1 and sentence in found.missing[0]


def test_an_agent_that_was_not_looked_at_later_yet_costs_the_others_nothing(tmp_path):
    for seed in range(4):
        made = madeup.run(tmp_path / str(seed), seed=seed, looks=("gradients",))
    shutil.rmtree(made.diagnostics / "gradients" / "000150-small")
    verdict, = (verdict for verdict in claims.judged(gathering.results([tmp_path])) if verdict.claim == "C8")
    assert [statement.agents for statement in verdict.statements] == [3, 3]


def test_what_cannot_be_compared_costs_its_own_claim_and_task_alone(tmp_path):
    for task in ("Hopper-v5", "Walker2d-v5"):
        for preset in ("trpo", "ppo"):
            for seed in range(3):
                run = madeup.run(tmp_path / f"{task}-{preset}-{seed}", preset, seed, env=task, looks=("trust_region",))
    path, = (run.path.parent / "Hopper-v5-ppo-0" / "diagnostics" / "trust_region").glob("*.nc")
    dataset = results.load(path)
    dataset["pairs"] = dataset["pairs"] // 2  # largest ratios of other numbers of pairs do not compare
    results.save(dataset, path)
    found = gathering.results([tmp_path])
    judged = {(verdict.claim, verdict.task) for verdict in claims.judged(found)}
    assert {("C5", "Hopper-v5"), ("C6", "Hopper-v5"), ("C7", "Walker2d-v5"), ("C5", "Walker2d-v5")} <= judged
    assert len(found.missing) <= 1
