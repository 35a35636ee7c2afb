"""Do the machines of a Ray cluster make what one machine makes, also when one of them dies in the middle?"""

import contextlib
import io
import threading
import time

import pytest
import xarray as xr

from launch import study
from tests.launch.runs import assert_equal_runs
from tests.studies.test_local import job
from tfpg.diagnostics import results
from tfpg.errors import RunError
from tfpg.studies import cluster
from tfpg.studies.jobs import DONE, FAILED, Ledger, Progress

STUDY = '''"""Six short agents."""
from tfpg.study import Agents, Look

STUDY = Agents(tasks=["CartPole-v1"], algorithms=["trpo", "ppo"], seeds=[0, 1, 2],
               settings={"total_steps": 20 * 2048, "value.epochs": 2, "runtime.xla": False},
               looks=[Look("evaluate", iterations=[3], flags={"episodes": 64}, seeds=[0])])
'''

pytestmark = pytest.mark.long


@pytest.fixture
def machines():
    """Two machines of a cluster on this one, two jobs wide each. Returns: the cluster, its nodes."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = made.add_node(num_cpus=1)
    yield made, second
    made.shutdown()


def run(address, directory, jobs, **others):
    told = []
    progress = Progress(jobs, {})
    settings = {"processors": 1, "gigabytes": 0.1, "attempts": 2, **others}
    cluster.run(progress, Ledger(directory), address=address, tell=lambda each, ending: told.append((each.name, ending and ending.state)),
                **settings)
    return progress, told


def test_jobs_run_in_order_are_tried_again_and_reported(machines, tmp_path):
    progress, told = run(machines[0].address, tmp_path, [
        job("make", "a"), job("make", "b", "a"), job("flaky", "c"), job("fail", "d"), job("make", "e", "d"), job("refuse", "f")])
    assert {each.name for each in progress.done} == {"a", "b", "c"}
    assert {name: progress.endings[name].attempts for name in ("c", "d", "f")} == {"c": 2, "d": 2, "f": 2}
    assert progress.endings["d"].reason == "worker: the motor is hot."
    assert [each.name for each in progress.blocked] == ["e"]
    assert told.index(("a", DONE)) < told.index(("b", None))
    assert Ledger(tmp_path).ending(job("fail", "d")).state == FAILED


def test_a_job_that_fits_on_no_machine_is_said_and_nothing_waits_for_ever(machines, tmp_path):
    with pytest.raises(RunError, match="no machine of the cluster has 64 processors"):
        run(machines[0].address, tmp_path, [job("make", "a")], processors=64)


def test_a_cluster_without_machines_is_said_and_what_was_done_is_kept(tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setattr(cluster, "DESERTED", 3.0)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    only = made.add_node(num_cpus=1)

    def kill():
        while not (tmp_path / "made/b.begun").exists():
            time.sleep(0.1)
        made.remove_node(only, allow_graceful=False)

    threading.Thread(target=kill).start()
    try:
        with pytest.raises(RunError, match="no machine for a job for 3 s, and 1 wait for one: what is done stays done"):
            run(made.address, tmp_path, [job("make", "a"), job("hang", "b", "a")])
    finally:
        made.shutdown()
    assert Ledger(tmp_path).ending(job("make", "a")).state == DONE


def launched(file, output, *flags):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = study.main([str(file), f"--output={output}", *flags])
    assert code == 0, printed.getvalue()
    return printed.getvalue()


def test_a_study_on_two_machines_of_which_one_is_killed_equals_the_same_study_on_one(machines, tmp_path):
    made, second = machines
    file = tmp_path / "mine.py"
    file.write_text(STUDY)
    killed = threading.Event()

    def kill():
        while len(list((tmp_path / "ray/runs").glob("*/metrics.jsonl"))) < 2:  # both machines are at it
            time.sleep(0.1)
        time.sleep(1)
        made.remove_node(second, allow_graceful=False)
        killed.set()

    thread = threading.Thread(target=kill)
    thread.start()
    out = launched(file, tmp_path / "ray", "--executor=ray", f"--address={made.address}", "--gigabytes=0.5")
    thread.join(60)
    assert killed.is_set()
    assert "8 of 8 jobs are done" in out
    launched(file, tmp_path / "local")
    runs = sorted(path.name for path in (tmp_path / "local/runs").iterdir())
    assert runs == sorted(path.name for path in (tmp_path / "ray/runs").iterdir())
    assert len(runs) == 6
    for name in runs:
        assert_equal_runs(tmp_path / "local/runs" / name, tmp_path / "ray/runs" / name)
    found = [results.load(tmp_path / where / "runs/trpo-CartPole-v1-0/diagnostics/evaluation-000003.nc") for where in ("local", "ray")]
    for each in found:
        del each.attrs["policy"], each.attrs["seconds"]
    xr.testing.assert_identical(*found)
    attempts = [log.read_text().count("attempt ") for log in (tmp_path / "ray/jobs").glob("*.log")]
    assert max(attempts) == 2  # what the lost machine was at was begun again
