"""Truncated, flipped, partly zeroed, empty and missing files of every kind that is written: named, never used in silence, or passed over for the last
good state. A row of KINDS is a kind of file and who reads it first; its columns are the damages and what must become of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray as xr

from launch import claims, report, train
from launch.shared import firstlook, policies, stored
from launch.training import recording
from tests.launch.grounds import command
from tests.launch.runs import QUICK, arrays, metrics
from tfpg import checkpoint, storage, sums
from tfpg.diagnostics import foreign_imports, results, returns
from tfpg.diagnostics.parts import Parts
from tfpg.errors import UserError
from tfpg.report import metrics as rows
from tfpg.run_directory import RunDirectory
from tfpg.studies import plan
from tfpg.studies.jobs import Ending, Job, Ledger

REFUSED = "one sentence names the file, and nothing of it is used"
BEFORE = "the file is named and passed over: what was good before serves, and what follows from that is the same again"
ANEW = "nothing is there: it is made again"
UNUSED = "nobody needs it for what is read"
FLIPS, ZEROS = 40, 8  # places of one bit each, and of 64 bytes that became zeros

RUN = ["--algo=trpo", "--env=CartPole-v1", *QUICK, "--total_steps=768", "--value.epochs=1", "--snapshots=0,2", "--checkpoint_seconds=0"]
POLICY = "run/policies/000002"
DATASET = xr.Dataset({"mean": (("policy", "episode"), np.linspace(-1, 1, 1200).reshape(2, 600), {"units": "reward"}), "role": ("policy", ["greedy", "as it acts"])},
                     {"episode": np.arange(600)}, {"run_seed": 3, "slope": 0.25, "task": "CartPole-v1", "plan": "{'pairs': 100}"})
PART, SHAPES = {"policy": "a", "pairs": 64}, {"sums": (3, None), "count": ()}
UNIT = returns.EpisodeResults(*(np.arange(1800).reshape(2, 900) % 7 + k for k in range(len(returns.EpisodeResults._fields))))
PILOT = returns.Pilot(**{name: 12.5 for name in returns.Pilot._fields})
JOB = Job("train", "launch.train", ("--algo=trpo",), (), "product", 0, 0.0, 0.0)


class Subject:
    """A policy, as far as a first look asks for it."""

    def provenance(self):
        return {"task": "CartPole-v1", "theta_sha256": "0"}


# Readers: what is found, in a form that can be compared, and what is said of damage


def _checkpoint(root):
    found = checkpoint.load(root / "run/checkpoints")
    return checkpoint.digest(checkpoint.named(found.state)), found.warnings


def _earlier(root):
    return checkpoint.digest(checkpoint.named(checkpoint._load(root / "run/checkpoints/000002.npz")[0]))


def _iterate(root):
    return checkpoint.digest(checkpoint.named(checkpoint.load_iterate(root / "run/iterates", 2))), ()


def _policy(root):
    """Whoever looks at a policy, before TensorFlow's seconds and after them."""
    found = policies.runtime_of(root / POLICY)
    sums.check(root / POLICY)
    return found, ()


def _imported(root):
    return foreign_imports.described(root / "imported"), ()


def _result(root):
    return results.load(root / "result.nc").to_dict(), ()


def _compact(root):
    return results.load(root / "compact.nc").to_dict(), ()


def _packed(root):
    return results.load(root / "packed.nc").to_dict(), ()


def _metrics(root):
    return repr(rows.of_run(RunDirectory(root / "run"))), ()


def _resumed(root):
    """What a run goes on from, which has not ended."""
    run = RunDirectory(root / "run")
    run.mark.unlink(missing_ok=True)
    recording.resume(run)
    return repr(rows.of_run(run)), ()


def _config(root):
    return RunDirectory(root / "run").config, ()


def _manifest(root):
    """Who verifies the run; any fault is a sentence."""
    for fault in storage.verify(root / "run"):
        raise UserError(fault)
    return None, ()


def _finished(root):
    run = RunDirectory(root / "run")
    return run.finished, [run.mark_damage] if run.mark_damage else []


def _plan(root):
    return stored.plan_of(root / "run/diagnostics/looked"), ()


def _pilot(root):
    def nothing(*_, **__):
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(returns, "pilot", nothing)
        patch.setattr(storage, "write_json", nothing)
        return firstlook.look(Subject(), root / "elsewhere", seed=3, threads=1) if (root / "elsewhere/pilot.json").exists() else None, ()


def _part(root):
    found = Parts(root / "parts").get(PART, SHAPES)
    return None if found is None else checkpoint.digest(found), ()


def _unit(root):
    found = returns.Store(root / "units").get("unit", 2, 900)
    return None if found is None else checkpoint.digest(found._asdict()), ()


def _study(root):
    found = plan.read(root / "study")
    return None if found is None else repr(plan.undone(found)), ()


def _job(root):
    ending = Ledger(root / "study").ending(JOB)
    return None if ending is None else ending.state, ()


class Kind(NamedTuple):
    """A kind of file, and what becomes of it."""

    file: str
    read: Callable[[Path], tuple[Any, Any]]
    half: str = REFUSED
    empty: str = REFUSED
    gone: str = REFUSED
    flipped: str | None = REFUSED  # or as it was, where the bit means nothing; None: a sum of its own has to be added yet
    otherwise: Callable[[Path], Any] = lambda root: None  # what is found in the place of a damaged file
    named: str | None = None  # in sentences, where that is not the file


KINDS = {
    "checkpoint": Kind("run/checkpoints/000003.npz", _checkpoint, BEFORE, BEFORE, ANEW, BEFORE, _earlier),
    "iterate": Kind("run/iterates/000002.npz", _iterate),
    "saved_model.pb": Kind(f"{POLICY}/saved_model.pb", _policy),
    "variables": Kind(f"{POLICY}/variables/variables.data-00000-of-00001", _policy),
    "index of variables": Kind(f"{POLICY}/variables/variables.index", _policy),
    "fingerprint.pb": Kind(f"{POLICY}/fingerprint.pb", _policy),
    "metadata.json": Kind(f"{POLICY}/metadata.json", _policy),
    "SHA256SUMS": Kind(f"{POLICY}/SHA256SUMS", _policy, named=POLICY),
    "imported.json": Kind("imported/imported.json", _imported),
    "NetCDF result": Kind("result.nc", _result),
    "compact result": Kind("compact.nc", _compact),
    "packed result": Kind("packed.nc", _packed),
    "metrics.jsonl of a finished run": Kind("run/metrics.jsonl", _metrics),
    "metrics.jsonl of a run that goes on": Kind("run/metrics.jsonl", _resumed),
    "config.json": Kind("run/config.json", _config),
    # Half of it has the sums that files had then.
    "manifest.jsonl": Kind("run/manifest.jsonl", _manifest, named="/run"),
    "config.json by a damaged manifest": Kind("run/manifest.jsonl", _config, half=UNUSED, empty=UNUSED, gone=UNUSED),
    "finished.json": Kind("run/finished.json", _finished, BEFORE, BEFORE, ANEW, BEFORE, lambda root: False),
    "study.json": Kind("study/study.json", _study, gone=ANEW, flipped=None),
    "jobs/*.json": Kind("study/jobs/train.json", _job, ANEW, ANEW, ANEW, flipped=None),
    "plan.json": Kind("run/diagnostics/looked/plan.json", _plan, gone=ANEW),
    "pilot.json": Kind("elsewhere/pilot.json", _pilot, gone=ANEW),
    "part of gradients and values": Kind("parts/*.npz", _part, gone=ANEW),
    "unit of a landscape": Kind("units/unit.npz", _unit, gone=ANEW),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One file of every kind, of which a run of three iterations wrote the most."""
    root = tmp_path_factory.mktemp("whole")
    assert command(train, *RUN, f"--workdir={root}/run")[0] == 0
    imported = root / "imported"
    imported.mkdir()
    (imported / "saved_model.pb").write_bytes(b"graphs")
    (imported / sums.IMPORTED).write_text(json.dumps({"format": foreign_imports.FORMAT, "low": [-1.0], "high": [1.0]}))
    sums.write(imported)
    results.save(DATASET, root / "result.nc")
    results.save(DATASET, root / "compact.nc", compact=True)
    results.save(DATASET.assign(level=("far", np.zeros(40_000))), root / "packed.nc", compact=True)
    storage.make_directory(root / "run/diagnostics/looked/parts")
    storage.write_json(root / "run/diagnostics/looked/plan.json", {"pairs": 100, "seed": 0})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(returns, "pilot", lambda *_, **__: PILOT)
        firstlook.look(Subject(), root / "elsewhere", seed=3, threads=1)
    Parts(root / "parts").put(PART, SHAPES, {"sums": np.arange(2400.0).reshape(3, 800), "count": np.array(5)})
    returns.Store(root / "units").put("unit", UNIT)
    (root / "study").mkdir()
    (root / "study/product").write_text("made")
    Ledger(root / "study").write(JOB, Ending("done", 1, 2.5, "here"))
    plan.write(root / "study", "small", "One agent.", [JOB])
    return root


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def became(kind, root, file):
    """What became of damage: REFUSED, or what was found and what was said."""
    try:
        return kind.read(root)
    except UserError as error:
        sentence = str(error)
        assert "\n" not in sentence and (kind.named or file.name) in sentence, sentence
        return REFUSED


def check(kind, outcome, found, good, otherwise):
    if outcome == REFUSED:
        assert found == REFUSED
        return
    assert found != REFUSED
    value, said = found
    assert value == (good if outcome == UNUSED else otherwise)
    if outcome == BEFORE:
        assert len(said) == 1 and Path(kind.file).name in said[0] and "\n" not in said[0]
    else:
        assert len(said) == 0


@pytest.mark.parametrize("damage", ["half", "empty", "gone"])
@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_cut_or_gone_is_named_or_passed_over(name, damage, root):
    kind = KINDS[name]
    file, = root.glob(kind.file)
    otherwise = kind.otherwise(root)
    good = shutil.copytree(root, root.parent / "good")
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[:len(content) // 2] if damage == "half" else b"")
    found = became(kind, root, file)
    check(kind, getattr(kind, damage), found, kind.read(good)[0], otherwise)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.flipped is not None])
def test_a_flipped_bit_or_a_lost_block_is_named_or_passed_over_or_changes_nothing(name, root):
    kind = KINDS[name]
    file, = root.glob(kind.file)
    otherwise = kind.otherwise(root)
    good, said = kind.read(root)
    assert len(said) == 0
    content, draw, seen = file.read_bytes(), np.random.default_rng(0), 0
    # The first bytes are headers, which say where and how long the rest is.
    flips = [(place, bytes([content[place] ^ 1 << int(draw.integers(8))]))
             for place in (*range(0, min(len(content), 160), 16), *draw.integers(len(content), size=FLIPS))]
    lost = [(place, bytes(len(content[place:place + 64]))) for place in draw.integers(len(content), size=ZEROS)]
    for place, damaged in (*flips, *lost):
        file.write_bytes(content[:place] + damaged + content[place + len(damaged):])
        found = became(kind, root, file)
        if found != (good, said) and found != (good, ()) and found != (good, []):
            check(kind, kind.flipped, found, good, otherwise)
            seen += 1
    assert seen > FLIPS // 4


def test_no_bit_of_the_head_of_a_large_array_changes_its_numbers_in_silence(tmp_path):
    """The CRC of a zip's member is looked at when its end is read, which an array whose header says less never comes to."""
    array = np.arange(9800) / 7
    path = tmp_path / "a.npz"
    storage.write_npz(path, v=array)
    content = path.read_bytes()
    for bit in range(8 * 40, 8 * 180):
        file = bytearray(content)
        file[bit // 8] ^= 1 << bit % 8
        path.write_bytes(file)
        try:
            found = storage.read_npz(path)
        except UserError:
            continue
        assert set(found) != {"v"} or np.array_equal(found["v"], array)


def test_no_bit_of_a_results_labels_changes_in_silence(tmp_path):
    """HDF5's sums cover arrays; numbers among the attributes, such as a slope, have none."""
    path = results.save(DATASET, tmp_path / "r.nc")
    content = path.read_bytes()
    for label in (b"CartPole-v1", np.float64(0.25).tobytes(), b"{'pairs': 100}", b"reward"):
        place = content.index(label)
        for bit in range(8):
            path.write_bytes(content[:place + 2] + bytes([content[place + 2] ^ 1 << bit]) + content[place + 3:])
            with pytest.raises(UserError, match=r"r\.nc is damaged"):
                results.load(path)


def test_results_and_metrics_without_sums_of_an_older_version_are_read(root):
    file, path = root / "result.nc", root / "run/metrics.jsonl"
    content, whole = file.read_bytes(), rows.read(path)
    file.write_bytes(content[:-results._LENGTH])
    assert results.load(file).identical(results.load(results.save(DATASET, root / "new.nc")))
    path.write_text("".join(json.dumps({key: each for key, each in row.items() if key != "crc32"}) + "\n" for row in map(json.loads, path.read_text().splitlines())))
    assert repr(rows.read(path)) == repr(whole)


def test_a_damaged_checkpoint_and_one_before_that_is_damaged_too_are_refused(root):
    for file in (root / "run/checkpoints").iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match="has no whole checkpoint"):
        checkpoint.load(root / "run/checkpoints")


def test_a_damaged_plan_of_a_study_is_written_anew(root, whole):
    (root / "study/study.json").write_bytes(b"")
    plan.write(root / "study", "small", "One agent.", [JOB])
    assert (root / "study/study.json").read_bytes() == (whole / "study/study.json").read_bytes()


# The commands


def flip(file):
    content = file.read_bytes()
    file.write_bytes(content[:len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1:])


@pytest.mark.parametrize(("file", "words"), [
    ("run/config.json", "config.json is damaged"), ("run/metrics.jsonl", "metrics.jsonl is damaged: line 2")])
def test_training_that_cannot_go_on_says_so_before_it_begins(file, words, root):
    (root / "run/finished.json").unlink()
    flip(root / file)
    code, _, err = command(train, *RUN, f"--workdir={root}/run")
    assert code == 2 and words in err.splitlines()[-1] and "Traceback" not in err


def test_a_run_whose_mark_is_damaged_is_concluded_anew(root, whole):
    flip(root / "run/finished.json")
    code, _, err = command(train, *RUN, f"--workdir={root}/run")
    assert code == 0 and "finished.json is damaged" in err and "It is written anew" in err
    assert metrics(root / "run") == metrics(whole / "run")
    ends = [json.loads((place / "run/finished.json").read_text()) for place in (root, whole)]
    assert [end["final/return"] for end in ends] == 2 * [ends[0]["final/return"]]


@pytest.mark.long
@pytest.mark.parametrize("damage", ["half", "flip", "empty", "gone"])
def test_a_run_goes_on_from_the_checkpoint_before_to_the_same_bits(damage, root, whole):
    last = root / "run/checkpoints/000003.npz"
    content = last.read_bytes()
    (root / "run/finished.json").unlink()
    if damage == "gone":
        last.unlink()
    elif damage == "flip":
        flip(last)
    else:
        last.write_bytes(content[:len(content) // 2 * (damage == "half")])
    code, _, err = command(train, *RUN, f"--workdir={root}/run")
    assert code == 0 and "going on from iteration 2" in err
    assert ("000003.npz is damaged" in err) == (damage != "gone")
    assert metrics(root / "run") == metrics(whole / "run")
    for name, array in arrays(whole / "run").items():
        np.testing.assert_array_equal(arrays(root / "run")[name], array, err_msg=name)


@pytest.mark.long
@pytest.mark.parametrize("file", ["run/metrics.jsonl", "run/config.json", "run/finished.json"])
def test_claims_and_report_pass_over_a_damaged_run_and_name_its_file(file, root, whole):
    other = shutil.copytree(whole / "run", root / "other")
    record = json.loads((other / "config.json").read_text())
    record["settings"]["seed"] = 1
    storage.write_json(other / "config.json", record)
    flip(root / file)
    code, out, err = command(claims, f"--dir={root}/run", f"--dir={root}/other")
    assert code == 0, err
    assert f"{Path(file).name} is damaged" in out and "Traceback" not in err
    code, _, err = command(report, f"--dir={root}/run", f"--dir={root}/other", f"--output={root}/page")
    assert code == 0, err
    assert f"{Path(file).name} is damaged" in (root / "page/report.html").read_text()
