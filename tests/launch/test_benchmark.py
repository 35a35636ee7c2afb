"""python -m launch.benchmark, as a user meets it: one JSON object, rows with spread, failures in a sentence."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from launch import benchmark
from launch.benchmarking import rounds as benchrounds
from launch.benchmarking.rounds import Plan, Stage
from launch.shared import commandline
from tfpg import settings
from tfpg.benchmark.workers import WorkerFailed

TINY = ["--env=Hopper-v5", "--rounds=2", "--seconds=0.01"]


def command(*arguments):
    return [sys.executable, "-m", "launch.benchmark", *TINY, *arguments]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of some subjects. Returns: what it printed, its file."""
    output = tmp_path_factory.mktemp("benchmark") / "speed.json"
    done = subprocess.run(command("--only=physics,environments", "--json", f"--output={output}"), capture_output=True, text=True,
                          timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done, output


def test_json_is_one_object_and_nothing_else(measured):
    done, output = measured
    assert done.stdout.count("\n") == 1
    result = json.loads(done.stdout)
    assert result == json.loads(output.read_text())
    assert {"machine", "settings", "rounds", "rows", "failures"} <= set(result) and "text" not in result
    assert result["machine"]["cores"] >= 1 and "tensorflow" in result["machine"]["versions"]
    assert "round 2 of 2" in done.stderr


def test_every_row_has_rounds_and_spread(measured):
    result = json.loads(measured[0].stdout)
    names = {row["name"] for row in result["rows"]}
    assert {"physics/1", "physics/2", "environments/1", "environments/2", "environments/2 : physics/2"} <= names
    for row in result["rows"]:
        assert row["rounds"] == len(row["values"]) == 2
        assert row["low"] <= row["median"] <= row["high"] and row["low"] > 0


def test_the_configurations_are_the_presets(measured):
    stored = json.loads(measured[0].stdout)["settings"]["configurations"]
    for algorithm, values in stored.items():
        assert settings.from_dict(values) == commandline.load_preset(algorithm, "Hopper-v5")


class FakeWorker:
    """Answers at once; that of TRPO's training dies in the second round."""

    def __init__(self, name, command, task):
        self.name, self.task, self.alive, self._asked, self.requests = name, task, True, 0, []

    def wait(self):
        return {"ready": True}

    def ask(self, request):
        self._asked += 1
        self.requests.append((request["what"], request["seconds"]))
        if self.name.startswith("training of trpo") and self._asked > 4:
            self.alive = False
            raise WorkerFailed(f"{self.name} ended (exit code 1).")
        if request["what"] == "names":
            return {"names": ["environments/2", "rollouts"]}
        if request["what"] == "iterations":
            return {"pairs": 2048, "parts": {"rollout": 0.1, "whole": 0.2}}
        if request["what"] == "apart":
            return {"parts": dict.fromkeys(("value", "policy", "checkpoint", "snapshot", "first snapshot"), 0.01)}
        return {"steps": 100, "seconds": 1.0, "bare": {"steps": 100, "seconds": 0.5}}

    def close(self):
        self.alive = False


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.setattr(benchrounds, "Worker", FakeWorker)
    configs = {name: commandline.load_preset(name, "Hopper-v5") for name in ("ppo", "trpo")}
    groups = ("environments", "rollouts", "training")
    with Stage("Hopper-v5", configs, groups, Plan(groups, 3, 0.0, time.monotonic(), 2048)) as one:
        one.ready()
        yield one


def test_a_dead_child_costs_its_own_rows_alone(stage):
    for number in range(3):
        stage.round(number)
    found = stage.measured(3)
    assert found.failures == ["training of trpo on Hopper-v5 ended (exit code 1)."]
    names = {row.name for row in found.rows}
    assert {"environments/2", "rollouts : rollouts/bare", "training/ppo", "training/ppo : environments/2"} <= names
    assert not any("trpo" in name for name in names)
    assert all(len(row.values) == 3 for row in found.rows)


def test_the_first_unit_after_a_wait_is_not_timed(stage):
    stage._plan = stage._plan._replace(seconds=0.5)
    stage.round(0)
    assert stage._workers["training/ppo"].requests == [("iterations", 0), ("iterations", 0.5), ("apart", 0), ("apart", 0.5)]
    assert stage._workers["laboratory"].requests[1:] == [("environments/2", 0), ("environments/2", 0.5), ("rollouts", 0), ("rollouts", 0.5)]


def test_every_child_is_told_the_presets_work(stage):
    for name in ("training/ppo", "training/trpo"):
        values, = stage._workers[name].task["configs"]
        assert settings.from_dict(values) == commandline.load_preset(name.split("/")[1], "Hopper-v5")


def test_without_time_two_rounds_are_made(monkeypatch):
    monkeypatch.setattr(benchrounds, "Worker", FakeWorker)
    configs = {name: commandline.load_preset(name, "Hopper-v5") for name in ("ppo", "trpo")}
    said = []
    found = benchrounds.task("Hopper-v5", configs, Plan(("environments",), 9, 0.0, time.monotonic() - 1, 2048), later=0, peers=False,
                             say=said.append)
    assert found.rounds == 2 and "no time for more rounds" in said[-1]


@pytest.mark.parametrize("flag", ["--only=rollouts", "--minutes=3", "--memory_steps=4096"])
def test_scaling_refuses_what_only_the_table_reads(flag, capsys):
    assert benchmark.main(["--scaling", flag]) == 2
    assert f"{flag[2:].partition('=')[0]} has no effect with --scaling" in capsys.readouterr().err


def test_other_libraries_that_are_absent_are_one_line(monkeypatch, capsys):
    monkeypatch.setattr(benchrounds, "Worker", FakeWorker)
    monkeypatch.setattr(benchmark.peers, "absent", lambda: ["sb3_contrib"])
    assert benchmark.main([*TINY, "--only=environments,peers"]) == 0
    line, = [line for line in capsys.readouterr().out.splitlines() if "not installed" in line]
    assert line == "Other libraries are not installed (sb3_contrib): pip install -e '.[peers]' brings them."


@pytest.mark.parametrize(("argument", "words"), [
    ("--only=rollout", "did you mean rollouts?"), ("--env=Hoper-v5", "did you mean Hopper-v5?"),
    ("--rounds=1", "rounds"), ("--env=", "env is empty"), ("--minute=3", "did you mean --minutes?")])
def test_bad_input_is_one_sentence(capsys, argument, words):
    assert benchmark.main([argument]) == 2
    said = capsys.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and said.out == ""


def test_nothing_heavy_is_imported_for_help_and_bad_flags():
    code = "import sys; from launch import benchmark; benchmark.main(['--help']); print({'tensorflow', 'gymnasium'} & set(sys.modules))"
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60)
    assert printed.rstrip().endswith("set()") and "--scaling" in printed


def test_how_busy_the_machine_was_is_asked_before_anything_is_measured(monkeypatch, capsys):
    order = []
    monkeypatch.setattr(benchmark.machine, "facts", lambda: order.append("asked") or {"load": 0.0})
    monkeypatch.setattr(benchmark, "_measure", lambda *_: order.append("measured") or {"rows": [{}], "text": ""})
    assert benchmark.main(["--json", "--env=Hopper-v5"]) == 0
    assert order == ["asked", "measured"] and json.loads(capsys.readouterr().out)["machine"] == {"load": 0.0}


def test_ctrl_c_ends_it_with_all_its_processes():
    # A child of a shell's background would ignore Ctrl-C.
    process = subprocess.Popen(command("--only=environments"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))  # noqa: PLW1509
    while "start" not in process.stderr.readline():
        pass
    children = _children(process.pid)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in said
    assert children and not any(os.path.exists(f"/proc/{child}") for child in children)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()
