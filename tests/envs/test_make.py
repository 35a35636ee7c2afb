import os
import sys

import gymnasium as gym
import numpy as np
import pytest

from tests.envs import tasks
from tfpg.envs.engines import EnvPoolEngine, GymnasiumEngine
from tfpg.envs.make import _ENVPOOL_TASKS, describe, make
from tfpg.errors import UserError


def test_mujoco_tasks_are_stepped_by_envpool_with_the_spaces_of_gymnasium():
    task = describe("Hopper-v5")
    # Hopper: 5 positions (x left out) and 6 velocities; three joints
    assert (task.engine, task.obs_size, task.action_size, task.discrete) == ("envpool", 11, 3, False)
    assert task.time_limit == 1000
    assert describe("Hopper-v5", engine="gymnasium") == task._replace(engine="gymnasium")


def test_version_four_is_known_without_a_warning(recwarn):
    assert describe("Walker2d-v4").obs_size == describe("Walker2d-v4", engine="gymnasium").obs_size == 17
    assert not recwarn.list


def test_a_task_that_only_gymnasium_has_is_stepped_by_gymnasium():
    task = describe("TfpgCounter-v0")
    assert (task.engine, task.obs_size, task.time_limit) == ("gymnasium", 2, None)


def test_arguments_that_only_gymnasium_knows_choose_gymnasium():
    arguments = (("healthy_z_range", (0.5, 2.0)),)
    assert describe("Hopper-v5", arguments).engine == "gymnasium"
    assert describe("Hopper-v5", (("forward_reward_weight", 2.0),)).engine == "envpool"


def test_a_task_registered_over_gymnasiums_own_is_the_users(monkeypatch):
    own = gym.envs.registration.EnvSpec("CartPole-v1", entry_point=tasks.Named, max_episode_steps=3)
    monkeypatch.setitem(gym.registry, "CartPole-v1", own)
    assert (describe("CartPole-v1").engine, describe("CartPole-v1").obs_size) == ("gymnasium", 1)


def test_a_module_before_the_colon_is_imported_and_registers_its_task(tmp_path, monkeypatch):
    (tmp_path / "tfpg_own_task.py").write_text(
        "import gymnasium\nfrom tests.envs.tasks import Named\ngymnasium.register('Own-v3', entry_point=Named)\n")
    monkeypatch.syspath_prepend(tmp_path)
    task = describe("tfpg_own_task:Own-v3")
    assert (task.engine, task.action_start, task.action_size) == ("gymnasium", 5, 2)
    engine = make(task, [1, 2])
    assert engine.reset(np.arange(2, dtype=np.int32)).shape == (2, 1)
    engine.close()
    del sys.modules["tfpg_own_task"], gym.registry["Own-v3"]


def test_a_dictionary_of_vectors_is_one_vector_in_the_order_of_its_space():
    task = describe("TfpgGoal-v0")
    assert (task.obs_size, task.engine) == (2, "gymnasium")
    goal, plain = (make(describe(name), [5, 6]) for name in ("TfpgGoal-v0", "TfpgCounter-v0"))
    ids = np.arange(2, dtype=np.int32)
    np.testing.assert_array_equal(goal.reset(ids), plain.reset(ids)[:, ::-1])  # Gymnasium's Dict sorts its keys: goal, observation
    one, other = (engine.step(np.zeros((2, 1), np.float32), ids) for engine in (goal, plain))
    np.testing.assert_array_equal(one.successors, other.successors[:, ::-1])


@pytest.mark.parametrize(("env_id", "arguments", "engine", "sentence"), [
    ("Hoper-v5", {}, "auto", "there is no task Hoper-v5: did you mean Hopper-v5?"),
    ("hopper", {}, "auto", "there is no task hopper: did you mean Hopper-v5?"),
    ("Hopper-v9", {}, "auto", "there is no task Hopper-v9: did you mean Hopper-v5?"),
    ("Hopper-v2", {}, "auto", "Hopper-v2 was removed from Gymnasium: did you mean Hopper-v5?"),
    ("Hopper-v3", {}, "auto", "Hopper-v3 was removed from Gymnasium: did you mean Hopper-v5?"),
    ("LunarLander-v2", {}, "gymnasium", "there is no task LunarLander-v2: did you mean LunarLander-v3?"),
    ("zzzzzz", {}, "auto", "there is no task zzzzzz: gymnasium.pprint_registry() and envpool.list_all_envs() name all there are, "),
    ("no_such_module:Task-v0", {}, "auto", "(ModuleNotFoundError: No module named 'no_such_module'.)"),
    ("no_such_module:Task-v0", {}, "auto", "no_such_module:Task-v0: the module no_such_module could not be imported "),
    ("TfpgCounter-v0", {}, "envpool", "EnvPool has no task TfpgCounter-v0: "),
    ("TfpgPictures-v0", {}, "auto", "TfpgPictures-v0 has observations Box(8, 8): only flat vectors"),
    ("TfpgDictionary-v0", {}, "auto", "TfpgDictionary-v0 has observations Dict: only flat vectors"),
    ("TfpgVector-v0", {}, "auto", "TfpgVector-v0 has actions MultiDiscrete(2,): only a Box"),
    ("TfpgWhole-v0", {}, "auto", "TfpgWhole-v0 has actions Box(1,) of int64: only a Box of floating-point numbers, of one dimension, or Discrete"),
    ("TfpgNothing-v0", {}, "auto", "TfpgNothing-v0 has observations Box(0,): there is nothing to learn from"),
    ("Hopper-v5", {"forward_reward_wait": 1.0}, "auto", "forward_reward_wait: did you mean forward_reward_weight?"),
    ("Hopper-v5", {"forward_reward_wait": 1.0}, "envpool", "wait in EnvPool: did you mean forward_reward_weight?"),
    ("TfpgCounter-v0", {"longes": 3}, "auto", "TfpgCounter-v0 takes no argument longes: did you mean longest?"),
    ("Hopper-v5", {"num_envs": 3}, "auto", "env_args of Hopper-v5: num_envs is set by the sampling engine"),
    ("Hopper-v5", {"xml_file": "/nowhere.xml"}, "auto", "EnvPool cannot make Hopper-v5 with {'xml_file': '/now"),
    ("Hopper-v5", {}, "envpol", "rollout.engine=envpol is not known: did you mean envpool?"),
])
def test_what_cannot_be_sampled_is_named_in_one_line(env_id, arguments, engine, sentence):
    with pytest.raises(UserError) as error:
        describe(env_id, tuple(arguments.items()), engine)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("how", ["slow_start", "slow_end"])
def test_a_task_that_hangs_when_it_is_made_or_closed_is_named(how):
    with pytest.raises(UserError, match="^TfpgBroken-v0 could not be made and closed within 0.2 s: it hangs"):
        describe("TfpgBroken-v0", (("how", how),), patience=0.2)


def test_a_task_that_panics_when_it_is_made_is_named():
    with pytest.raises(UserError, match="^TfpgBroken-v0 could not be made: Panic: no motor"):
        describe("TfpgBroken-v0", (("how", "bad_start"),))


def test_what_a_task_raises_when_it_is_closed_costs_nothing():
    task = describe("TfpgBroken-v0", (("how", "bad_end"),))
    engine = make(task, [1, 2])
    engine.close()


def test_no_display_is_opened_where_nothing_is_drawn(tmp_path, monkeypatch):
    """dm_control opens one when it is imported; beside it XLA's compiler crashes the process."""
    (tmp_path / "tfpg_drawing_task.py").write_text(
        "import os\nimport gymnasium\nfrom tests.envs import tasks\nSEEN = [os.environ['MUJOCO_GL']]\n"
        "class Task(tasks.Counter):\n    def __init__(self):\n        super().__init__()\n        SEEN.append(os.environ['MUJOCO_GL'])\n"
        "gymnasium.register('TfpgDrawing-v0', Task)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MUJOCO_GL", "egl")
    describe("tfpg_drawing_task:TfpgDrawing-v0")
    assert set(sys.modules["tfpg_drawing_task"].SEEN) == {"disabled"} and os.environ["MUJOCO_GL"] == "egl"
    monkeypatch.delenv("MUJOCO_GL")
    describe("tfpg_drawing_task:TfpgDrawing-v0")
    assert "MUJOCO_GL" not in os.environ


@pytest.mark.parametrize(("engine", "kind"), [("envpool", EnvPoolEngine), ("gymnasium", GymnasiumEngine)])
def test_each_engine_steps_the_environments_it_is_told_to_and_no_others(engine, kind):
    engine = make(describe("Hopper-v5", engine=engine), [3, 4, 5, 6], 2)
    assert isinstance(engine, kind)
    twin = make(describe("Hopper-v5", engine="envpool" if kind is EnvPoolEngine else "gymnasium"), [3, 4, 5, 6], 1)
    everywhere, some = np.arange(4, dtype=np.int32), np.array([1, 3], np.int32)
    actions = np.random.default_rng(0).uniform(-1, 1, (4, 3)).astype(np.float32)
    np.testing.assert_array_equal(engine.reset(everywhere), twin.reset(everywhere))
    two, four = engine.step(actions[some], some), twin.step(actions, everywhere)
    np.testing.assert_array_equal(two.successors, four.successors[some])
    # environments 0 and 2 did not move: their next step is their first
    rest = np.array([0, 2], np.int32)
    np.testing.assert_array_equal(engine.step(actions[rest], rest).successors, four.successors[rest])
    engine.close()
    twin.close()


@pytest.mark.parametrize("env_id", sorted(_ENVPOOL_TASKS))
def test_every_task_that_envpool_steps_repeats_its_episodes_and_draws_nothing_in_them(env_id):
    # `played` and `twin` take the same actions, `idle` none: what a step drew would move the next start
    task = describe(env_id)
    assert task.engine == "envpool"
    ids, draw = np.arange(2, dtype=np.int32), np.random.default_rng(0)
    played, twin, idle = engines = [make(task, [11, 12], 2) for _ in range(3)]
    for engine in engines:
        engine.reset(ids)
    for _ in range(30):
        actions = (draw.integers(0, task.action_size, 2).astype(np.int32) if task.discrete
                   else draw.uniform(-0.4, 0.4, (2, task.action_size)).astype(np.float32))
        outcome, again = played.step(actions, ids), twin.step(actions, ids)
        for one, other in zip(outcome, again, strict=True):
            np.testing.assert_array_equal(one, other)
        if (outcome.terminated | outcome.truncated).any():
            break
    np.testing.assert_array_equal(played.reset(ids), idle.reset(ids))
    for engine in engines:
        engine.close()


@pytest.mark.parametrize("env_id", ["Hopper-v5", "TfpgDrift-v0", "CartPole-v1"])
def test_the_kth_start_depends_only_on_seed_and_k(env_id):
    task = describe(env_id)
    everywhere, one = np.arange(3, dtype=np.int32), np.array([1], np.int32)
    engine = make(task, [7, 8, 9], 2)
    starts = np.array([engine.reset(everywhere) for _ in range(4)])  # [k, N, S]
    # alone, after some steps, forwards and backwards: the same starts
    alone = make(task, [8], 1)
    shape = (1,) if task.discrete else (1, task.action_size)
    for k in range(4):
        np.testing.assert_array_equal(alone.reset(np.array([0], np.int32))[0], starts[k, 1])
        alone.step(np.zeros(shape, np.int32 if task.discrete else np.float32), np.array([0], np.int32))
    for k in (3, 1):
        engine.skip_to(np.array([0, k, 2]))
        np.testing.assert_array_equal(engine.reset(one)[0], starts[k, 1])
    assert len(np.unique(starts.reshape(12, -1), axis=0)) == 12
    engine.close()
    alone.close()
