"""Policies, runs and results whose sums are right and whose words are not: one clear sentence, or they are what they say."""

import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launch import claims, report
from launch.shared import gathering, policies
from tests import hostile
from tests.launch import madeup
from tests.launch.grounds import command, trained
from tfpg import storage, sums
from tfpg.diagnostics import probe, results
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


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run without results, and the results of one with every look, by their place."""
    directory = tmp_path_factory.mktemp("made")
    full = madeup.run(directory / "full", "trpo", looks=("trust_region", "landscapes", "gradients", "values"))
    bare = madeup.run(directory / "bare/trpo-Hopper-v5-0", "trpo")
    return bare.diagnostics, {path.relative_to(full.diagnostics): results.load(path) for path in sorted(full.diagnostics.rglob("*.nc"))}


@st.composite
def other_contents(draw, dataset):
    """A result with one thing in it as no instrument leaves it; its sums are right."""
    what = draw(st.sampled_from(["absent", "empty", "text", "nan", "zero", "negative", "renamed", "labels"]))
    name = draw(st.sampled_from(sorted(map(str, dataset.variables))))
    if what == "absent":
        return dataset.drop_vars(name)
    if what in ("empty", "renamed"):
        dim = draw(st.sampled_from(sorted(map(str, dataset.sizes))))
        return dataset.isel({dim: slice(0, 0)}) if what == "empty" else dataset.rename_dims({dim: "another"}).drop_vars(dim, errors="ignore")
    if what == "labels":
        label = draw(st.sampled_from(sorted(map(str, dataset.attrs))))
        return dataset.assign_attrs({label: draw(st.sampled_from(["", "x", -1, 1e300, 0, "nan"]))})
    old = dataset[name]
    values = old.values.astype(str) if what == "text" else np.full(old.shape, {"nan": np.nan, "zero": 0.0, "negative": -1e300}[what])
    return dataset.assign_coords({name: (old.dims, values)}) if name in dataset.coords else dataset.assign({name: (old.dims, values)})


@settings(examples, max_examples=3 * examples.max_examples)
@given(data=st.data())
def test_results_that_say_anything_are_a_sentence_or_verdicts(made, data):
    diagnostics, whole = made
    place = data.draw(st.sampled_from(sorted(whole)))
    file = results.save(data.draw(other_contents(whole[place])), diagnostics / place)
    try:
        code, out, err = command(claims, str(diagnostics.parent))
        assert code == 0 and "Traceback" not in err and "final returns" in out
    finally:
        storage.remove(file)
