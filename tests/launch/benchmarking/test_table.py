"""Can the table be read? Columns, widths, numbers."""

from launch.benchmarking import table as benchtable
from launch.benchmarking.table import number
from tests.benchmark.test_account import found
from tfpg.benchmark.account import Shares, rows

TASKS = ("Hopper-v5", "Walker2d-v5", "Humanoid-v5")
SETTINGS = {"envs": 32, "pairs": 2048, "threads": 2, "epochs": "10 + 10 epochs", "minibatches": 32, "checkpoint_seconds": 20.0,
            "snapshots": 5, "episodes": "3 episodes", "peers": True}


def table(tasks=TASKS):
    every = [row for task in tasks for row in rows(task, found(), threads=2, shares=Shares(20.0, 5, 500))]
    return benchtable.table(every, dict.fromkeys(tasks, 2), SETTINGS), every


def test_three_tasks_fit_a_terminal_of_100_columns():
    text, every = table()
    text += "\n" + benchtable.notes(SETTINGS, benchtable.once(every))
    assert max(map(len, text.splitlines())) <= 100


def test_a_line_stands_under_its_task_with_spread_and_share():
    line, = [line for line in table(TASKS[:1])[0].splitlines() if line.strip().startswith("update")]
    assert line.split() == ["update", "50.0", "±0", "%", "21", "%"]
    line, = [line for line in table(TASKS[:1])[0].splitlines() if line.strip().startswith("environments : physics")]
    assert line.split()[-3:] == [".375", "±33", "%"]  # .5 and .25


def test_a_task_without_a_line_has_a_dash():
    every = rows("Hopper-v5", found(), threads=2, shares=Shares(20.0, 5, 500))
    text = benchtable.table(every, {"Hopper-v5": 2, "CartPole-v1": 2}, SETTINGS)
    assert all(line.rstrip().endswith("–") for line in text.splitlines()[2:] if line.startswith("  "))


def test_more_tasks_than_fit_stand_below():
    text = table((*TASKS, "Ant-v5"))[0]
    assert text.count("steps a second") == 2 and max(map(len, text.splitlines())) <= 100


def test_numbers_have_three_digits():
    assert [number(value) for value in (17_345.0, 162.4, 8.213, 0.8312, 0.0499, 0.0, float("nan"))] == [
        "17,300", "162", "8.21", ".831", ".050", "0", "–"]
