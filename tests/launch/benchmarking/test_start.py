"""What does watching a training say? Its first iteration, its memory; a failure in a sentence."""

import subprocess
import sys

import numpy as np
import pytest

from launch.benchmarking import start as benchstart
from tests.launch.runs import QUICK
from tfpg.benchmark.workers import WorkerFailed


def test_a_training_is_watched_to_its_end(tmp_path):
    found = benchstart.watched(["--algo=trpo", *QUICK], tmp_path / "run", 256)
    assert found["first"] > 0.5 and 200 < found["peak"] < 4000
    assert (tmp_path / "run" / "finished.json").exists()
    assert all(0 < pairs <= 1024 and 100 < held <= found["peak"] + 1 for pairs, held in found["memory"])


def test_the_peak_of_a_process_is_its_own_not_that_of_who_started_it():
    held = np.ones(25_000_000)  # 200 MB, in this process
    process = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        assert 1 < benchstart._peak(process.pid) < 100 < held.nbytes / 1e6
    finally:
        process.communicate(b"\n")
    assert benchstart._peak(process.pid) == 0


def test_a_training_that_cannot_begin_is_a_sentence(tmp_path):
    with pytest.raises(WorkerFailed, match="exit code 2.*there is no preset algo=trop"):
        benchstart.watched(["--algo=trop"], tmp_path / "run", 2048)
