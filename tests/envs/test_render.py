"""The film shows the episode that was played, or says in one sentence why there is none."""

import subprocess
import sys
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest

from tfpg.envs import render
from tfpg.errors import RunError, UserError


def constant(action):
    return lambda obs: np.full(3, action, np.float32)


@pytest.fixture(scope="module")
def hopper():
    return render.record("Hopper-v5", {}, constant(0.3), 5, 25)


def test_a_film_has_a_frame_for_each_state_and_something_in_it(hopper, tmp_path):
    import imageio.v3 as imageio

    path = render.make_video(hopper, tmp_path / "episode.mp4")
    frames = imageio.imread(path)
    assert len(frames) == len(hopper.actions) + 1 > 10
    assert frames[0].std() > 10 and np.abs(frames[0].astype(int) - frames[-1]).max() > 50
    assert [entry.name for entry in tmp_path.iterdir()] == ["episode.mp4"]


@pytest.mark.parametrize(("args", "tracks"), [({}, True), ({"camera_id": -1}, False)])
def test_the_camera_goes_with_the_robot_unless_another_is_asked_for(hopper, args, tracks):
    env = render._make(hopper._replace(env_args=args))
    model, camera = env.unwrapped.model, env.unwrapped.mujoco_renderer.camera_id
    assert (camera >= 0 and model.camera("track").id == camera) == tracks
    env.close()


def test_recording_is_repeatable_and_stops_at_its_limit(hopper):
    again = render.record("Hopper-v5", {}, constant(0.3), 5, 25)
    np.testing.assert_array_equal(again.obs, hopper.obs)
    assert len(render.record("Hopper-v5", {}, constant(0.0), 5, 7).actions) == 7
    assert len(hopper.obs) == len(hopper.actions) + 1


def test_the_program_never_imports_tensorflow():
    code = "import sys, tfpg.envs.render; sys.exit('tensorflow' in sys.modules or 'gymnasium' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_replay_that_departs_makes_no_film(hopper, tmp_path):
    obs = hopper.obs.copy()
    obs[3, 0] += 1e-12
    with pytest.raises(RunError, match="departs from the recording at step 3"):
        render.make_video(hopper._replace(obs=obs), tmp_path / "episode.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_egl_is_told_so_in_one_sentence(hopper, tmp_path, monkeypatch):
    monkeypatch.setenv("MUJOCO_EGL_DEVICE_ID", "99")
    with pytest.raises(RunError, match="^no video: .*MUJOCO_GL=egl") as caught:
        render.make_video(hopper, tmp_path / "episode.mp4")
    assert "\n" not in str(caught.value)


def test_a_classic_task_is_filmed_or_names_the_package_that_is_missing(tmp_path):
    recording = render.record("CartPole-v1", {}, lambda obs: np.int64(obs[2] > 0), 1, 10)
    assert recording.actions.shape == (10,)
    try:
        import pygame  # noqa: F401
    except ImportError:
        with pytest.raises(RunError, match="pygame"):
            render.make_video(recording, tmp_path / "episode.mp4")
    else:
        assert render.make_video(recording, tmp_path / "episode.mp4").stat().st_size > 1000


class Blind(gym.Env):
    """A task without pictures."""

    metadata: ClassVar = {"render_modes": ["human"]}
    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Box(-1, 1, (3,))

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 0.0, False, False, {}


@pytest.mark.parametrize("modes", [["human"], ["rgb_array"], []])
def test_a_task_without_pictures_is_told_so(modes, tmp_path, monkeypatch):
    monkeypatch.setattr(Blind, "metadata", {"render_modes": modes})
    gym.register("Blind-v0", Blind)
    try:
        recording = render.record("Blind-v0", {}, constant(0.0), 0, 3)
        with pytest.raises(RunError, match="Blind-v0 cannot be"):
            render.film(recording, tmp_path / "episode.mp4")
    finally:
        del gym.registry["Blind-v0"]
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_only_this_process_knows_is_named(tmp_path):
    recording = render.Recording("Nowhere-v0", {}, 0, np.zeros((1, 3), np.float32), np.zeros((2, 2)))
    with pytest.raises(RunError, match="Nowhere-v0 could not be made") as caught:
        render.make_video(recording, tmp_path / "episode.mp4")
    assert "\n" not in str(caught.value)


def test_an_ending_that_is_no_video_is_refused(tmp_path):
    with pytest.raises(UserError, match="must end in one of .mp4"):
        render.check_video(tmp_path / "episode.txt")


def test_a_damaged_recording_is_named(tmp_path, capsys):
    (tmp_path / "r.npz").write_bytes(b"PK nothing")
    assert render.main([f"--recording={tmp_path / 'r.npz'}", f"--video={tmp_path / 'v.mp4'}"]) == 1
    assert "r.npz is damaged" in capsys.readouterr().err
