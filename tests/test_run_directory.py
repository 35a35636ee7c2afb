"""Is the directory of a run made whole, continued only as it was, and never shared?"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tfpg import run_directory, storage
from tfpg.config import Config, Trpo
from tfpg.errors import UserError
from tfpg.run_directory import RunDirectory, default_path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = Config()
COMMAND = ["launch.train", "--algo=trpo"]


def begin(path, config=CONFIG, command=COMMAND):
    with RunDirectory.open(path, config, command) as run:
        return run


def content(path):
    return {file.relative_to(path): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_a_new_run_has_its_layout_and_its_record(tmp_path):
    config = Config(seed=3, algorithm=Trpo(delta=0.05), env_args=(("a", (1, 2)),))
    run = begin(tmp_path / "runs" / "a", config)

    assert not run.continued and not run.finished
    for directory in ("iterates", "checkpoints", "policies", "diagnostics", "train"):
        assert (run.path / directory).is_dir()
    assert run.config == config
    assert run.record["command"] == COMMAND and run.record["seed"] == 3
    assert run.record["versions"]["numpy"] and run.record["python"] and run.record["processor"]
    assert set(run.record) == {
        "settings", "command", "seed", "versions", "commit", "python", "processor", "created"}
    assert run.version_changes() == []
    assert storage.verify(run.path) == []


def test_names_of_iterations_are_six_digits(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.iterate(150) == tmp_path / "iterates" / "000150.npz"
    assert run.policy(0) == tmp_path / "policies" / "000000"
    assert run.metrics == tmp_path / "metrics.jsonl"


def test_the_same_configuration_goes_on_and_changes_nothing(tmp_path):
    run = begin(tmp_path / "a")
    before = content(run.path)
    del before[Path("lock")]
    again = begin(tmp_path / "a", command=["another", "command"])
    after = content(run.path)
    del after[Path("lock")]

    assert again.continued
    assert after == before


def test_another_configuration_is_refused_with_every_difference_on_a_line(tmp_path):
    begin(tmp_path / "a", Config())
    with pytest.raises(UserError) as error:
        begin(tmp_path / "a", Config(seed=1, algorithm=Trpo(delta=0.5)))
    assert str(error.value).splitlines() == [
        (f"{tmp_path / 'a'} holds a run with another configuration (there → asked for); "
         "choose another --workdir or the same settings:"),
        "  seed: 0 → 1",
        "  trpo.delta: 0.01 → 0.5"]


def test_a_refused_run_is_given_free_again(tmp_path):
    begin(tmp_path / "a")
    with pytest.raises(UserError):
        begin(tmp_path / "a", Config(seed=1))
    begin(tmp_path / "a")


def test_a_directory_of_other_files_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError) as error:
        begin(tmp_path)
    assert str(error.value) == f"{tmp_path} is not empty and no run directory: it has no config.json."
    assert content(tmp_path) == {Path("thesis.tex"): b"x"}


def test_what_a_kill_before_the_record_left_is_no_obstacle(tmp_path):
    (tmp_path / "lock").write_text("")
    storage.create_manifest(tmp_path)
    (tmp_path / ".tfpg-tmp-1-ab-config.json").write_text("{")
    run = begin(tmp_path)

    assert not run.continued
    assert not any(storage.is_temporary(entry.name) for entry in tmp_path.iterdir())


def test_a_kill_while_a_file_was_put_in_place_is_made_good_when_the_run_goes_on(tmp_path):
    run = begin(tmp_path)
    storage.write_json(run.iterate(0), [0])
    temporary = run.iterates / ".tfpg-tmp-1-ab-000000.npz"
    run.iterate(0).rename(temporary)  # as if the rename had never been made
    records = storage.read_lines(tmp_path / "manifest.jsonl")
    record = json.loads(records[-1]) | {"temporary": temporary.relative_to(tmp_path).as_posix()}
    storage.cut_lines(tmp_path / "manifest.jsonl", len(records) - 1)
    storage.append_line(tmp_path / "manifest.jsonl", json.dumps(record))
    begin(tmp_path)

    assert storage.read_json(run.iterate(0)) == [0]
    assert storage.verify(tmp_path) == []


def test_a_file_in_the_way_is_a_sentence(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(UserError) as error:
        begin(tmp_path / "a")
    assert str(error.value) == f"cannot make the directory {tmp_path / 'a'}: file exists."
    with pytest.raises(UserError) as error:
        begin(tmp_path / "a" / "b")
    assert str(error.value) == f"cannot make the directory {tmp_path / 'a' / 'b'}: not a directory."


def test_a_run_is_held_by_one_at_a_time(tmp_path):
    sentence = r"^another process \(pid \d+ on .*\) is training in "
    with RunDirectory.open(tmp_path, Config(), COMMAND), pytest.raises(UserError, match=sentence):
        begin(tmp_path)
    begin(tmp_path)


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = ("import sys, time\nfrom tfpg.config import Config\nfrom tfpg.run_directory import RunDirectory\n"
            "run = RunDirectory.open(sys.argv[1], Config(), [])\nprint('held', flush=True)\ntime.sleep(60)")
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match=f"pid {process.pid} "):
        begin(tmp_path)
    process.kill()
    process.communicate()
    begin(tmp_path)


def test_a_finished_run_says_so(tmp_path):
    run = begin(tmp_path)
    run.finish(iterations=488)

    assert run.finished and RunDirectory(tmp_path).finished
    assert storage.read_json(tmp_path / "finished.json")["iterations"] == 488
    assert storage.verify(tmp_path) == []


def test_packages_that_changed_since_are_named(tmp_path, monkeypatch):
    run = begin(tmp_path)
    there = run.record["versions"]["numpy"]
    monkeypatch.setattr(run_directory, "versions", lambda: run.record["versions"] | {"numpy": "99"})
    assert run.version_changes() == [f"numpy: {there} → 99"]


def test_a_directory_without_record_is_no_run(tmp_path):
    with pytest.raises(UserError) as error:
        _ = RunDirectory(tmp_path).config
    assert str(error.value) == f"{tmp_path} is no run directory: it has no config.json."


@pytest.mark.parametrize("damage, words", [
    ("", "is damaged: it is no JSON"),
    ('{"settings": ', "is damaged: it is no JSON"),
    ("[]", "is damaged: it has no settings."),
    ('{"settings": 3}', "is damaged: it has no settings."),
    ('{"settings": {"algorithm": "trpo"}}', "is damaged or of another version: the configuration lacks preset, env"),
])
def test_a_damaged_record_is_a_sentence_that_names_it(tmp_path, damage, words):
    run = begin(tmp_path)
    storage.write_text(run.config_file, damage)
    for read in (lambda: run.config, lambda: begin(tmp_path)):
        with pytest.raises(UserError) as error:
            read()
        assert str(error.value).startswith(f"{tmp_path / 'config.json'} {words}")


@examples(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_damage_to_the_record_is_a_user_error_or_a_configuration(tmp_path, data):
    run = RunDirectory(tmp_path)
    if not run.config_file.exists():
        begin(tmp_path)
        (tmp_path / "good").write_bytes(run.config_file.read_bytes())
    damaged = bytearray((tmp_path / "good").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    run.config_file.write_bytes(damaged)
    try:
        assert isinstance(run.config, Config)
    except UserError as error:
        assert str(run.config_file) in str(error)


@pytest.mark.parametrize("env, name", [
    ("Hopper-v5", "trpo-Hopper-v5-7"), ("my_tasks.tasks:Own-v0", "trpo-my_tasks.tasks-Own-v0-7"),
    ("ALE/Pong-v5", "trpo-ALE-Pong-v5-7"), ("../x", "trpo-..-x-7")])
def test_the_default_directory_is_below_runs(env, name):
    assert default_path(Config(env=env, seed=7)) == Path("runs") / name


def test_the_commit_is_that_of_this_repository_or_nothing(tmp_path, monkeypatch):
    found = run_directory.commit()
    assert found is None or len(found.removesuffix("-dirty")) == 40
    (tmp_path / "tfpg").mkdir()
    monkeypatch.setattr(run_directory, "__file__", str(tmp_path / "tfpg" / "run_directory.py"))
    assert run_directory.commit() is None


@pytest.mark.long
def test_kills_while_a_run_begins_leave_a_directory_that_goes_on(tmp_path):
    code = ("import sys\nfrom tfpg.config import Config\nfrom tfpg.run_directory import RunDirectory\n"
            "print('begun', flush=True)\nrun = RunDirectory.open(sys.argv[1], Config(), [])\n")
    for number in range(30):
        path = tmp_path / str(number)
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(number * 0.001)
        process.kill()
        process.communicate()
        begin(path)
        assert storage.verify(path) == []
