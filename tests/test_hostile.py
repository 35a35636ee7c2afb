"""Policies, runs and results whose sums are right and whose words are not: one clear sentence, or they are what they say."""

import json
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launch import claims, report
from launch.shared import gathering, policies
from tests import hostile
from tests.launch.grounds import command, trained
from tfpg import storage, sums
from tfpg.diagnostics import probe
from tfpg.errors import UserError
from tfpg.report import metrics
from tfpg.run_directory import RunDirectory

pytestmark = pytest.mark.long
examples = settings(deadline=None, derandomize=True, max_examples=int(os.environ.get("TFPG_EXAMPLES", "25")), suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("hostile") / "run", "trpo", "CartPole-v1")


@examples
@given(data=st.data())
def test_metadata_of_a_policy_that_says_anything_is_a_sentence_or_a_policy(run, data, tmp_path_factory):
    policy = run.parent / "policy"  # outside of the run, whose manifest has sums of its own
    if not policy.exists():
        shutil.copytree(run / "policies/000002", policy)
    file = policy / sums.METADATA
    good = (run.parent / "metadata.good").read_bytes() if (run.parent / "metadata.good").exists() else file.read_bytes()
    (run.parent / "metadata.good").write_bytes(good)
    file.write_text(json.dumps(data.draw(hostile.changed(json.loads(good)))))
    sums.write(policy)
    try:
        policies.runtime_of(policy)
        probe.load(policy).provenance()
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
    finally:
        file.write_bytes(good)
        sums.write(policy)


@examples
@given(data=st.data())
def test_a_configuration_that_says_anything_is_a_sentence_or_a_configuration(run, data):
    file = run / "config.json"
    good = file.read_bytes()
    storage.write_json(file, data.draw(hostile.changed(json.loads(good))))
    try:
        RunDirectory(run).config  # noqa: B018
        RunDirectory(run).version_changes()
        gathering.results([run])
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
    finally:
        storage.write_bytes(file, good)


@settings(examples, max_examples=examples.max_examples // 3)
@given(data=st.data())
def test_metrics_that_say_anything_are_a_sentence_or_curves(run, data):
    file = run / "metrics.jsonl"
    good = file.read_bytes()
    lines = metrics.read(file)
    k = data.draw(st.integers(0, len(lines) - 1))
    lines[k] = data.draw(hostile.changed(lines[k]))
    file.write_text("".join(metrics.summed(json.dumps(line)) + "\n" for line in lines))
    try:
        code, _, err = command(claims, str(run))
        assert code in (0, 1, 2) and "Traceback" not in err
        code, _, err = command(report, str(run), f"--output={run.parent}/report")
        assert code in (0, 1, 2) and "Traceback" not in err
    finally:
        file.write_bytes(good)
