"""How does an episode look? It is played again, action by action, in a program of its own, and filmed.

    python -m tfpg.envs.render --recording=episode.npz --video=episode.mp4

TensorFlow and Mesa's renderer crash in one process, and neither fork nor spawn helps: so the process that has the
policy records one episode and starts this program, which never imports TensorFlow. The starts of EnvPool cannot be
had from Gymnasium, which renders: record on the Gymnasium engine. Every observation of the replay is compared with
the recorded one, so the film shows the episode that was measured, or there is no film."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfpg import storage
from tfpg.envs.opened import opened
from tfpg.errors import RunError, UserError

FRAMES_PER_SECOND = 30  # where the task does not say
SUFFIXES = (".mp4", ".gif", ".webm", ".mkv", ".mov")
MACRO_BLOCK = 16  # encoders of H.264 want sides that are multiples of it; imageio rescales others
PATIENCE = 900  # seconds; a thousand frames of Humanoid in software take about one minute
_HEAD = "render: "


class Recording(NamedTuple):
    """One episode on the Gymnasium engine, enough to play it again."""

    env_id: str
    env_args: dict[str, Any]
    seed: int  # given to reset
    actions: np.ndarray  # [T, A] float32, or [T] integers in the task's own names
    obs: np.ndarray  # [T + 1, S] float64, to compare the replay with


def record(env_id: str, env_args: dict[str, Any], act: Callable[[np.ndarray], Any], seed: int, limit: int) -> Recording:
    """Plays one episode on Gymnasium, without drawing.

    Args: act: raw observation [S] float32 → action [A], or a number in the task's own names. limit: steps at most.
    Errors: RunError when the task cannot be made or raises."""
    import gymnasium as gym

    gym.logger.min_level = gym.logger.ERROR
    try:
        env = opened(env_id, env_args)
        try:
            observations, ended = [env.reset(seed=seed)[0]], False
            actions: list[np.ndarray] = []
            while not ended and len(actions) < limit:
                actions.append(np.asarray(act(np.asarray(observations[-1], np.float32))))
                obs, _, terminated, truncated, _ = env.step(_native(actions[-1]))
                observations.append(obs)
                ended = terminated or truncated
        finally:
            env.close()
    except Exception as error:
        raise RunError(f"no video: the episode could not be played on Gymnasium: {_line(error)}.") from error
    return Recording(env_id, env_args, seed, np.stack(actions), np.asarray(observations, np.float64))


def make_video(recording: Recording, path: str | os.PathLike) -> Path:
    """Films a recorded episode, in a process of its own.

    Returns: the file. Errors: UserError for a file name that is no video's; RunError, one sentence, for a task that
    has no picture, a machine that cannot draw, a package that is missing."""
    path = check_video(path)
    with tempfile.TemporaryDirectory(prefix="tfpg-") as directory:
        file = Path(directory) / "episode.npz"
        storage.write_npz(file, actions=recording.actions, obs=recording.obs, seed=recording.seed,
                          task=json.dumps([recording.env_id, recording.env_args]))
        command = [sys.executable, "-m", "tfpg.envs.render", f"--recording={file}", f"--video={path}"]
        environment = {**os.environ, "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl"), "SDL_VIDEODRIVER": "dummy",
                       "PYGAME_HIDE_SUPPORT_PROMPT": "1", "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
        try:
            done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=PATIENCE,
                                  stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise RunError(f"no video: drawing the episode took more than {PATIENCE} s.") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith(_HEAD)]
        raise RunError("no video: " + (said[-1].removeprefix(_HEAD) if said else
                                       f"the program that draws ended with code {done.returncode}."))
    return path


def check_video(path: str | os.PathLike) -> Path:
    """The path of a video to be. Errors: UserError for an ending that is no video's."""
    path = Path(os.path.abspath(Path(path).expanduser()))
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"--video={path.name} must end in one of {', '.join(SUFFIXES)}.")
    return path


# The program


def main(arguments: list[str] | None = None) -> int:
    """Plays the recording again and writes the video. Returns: the exit code, 0 or 1; the reason goes to stderr."""
    parser = argparse.ArgumentParser(prog="python -m tfpg.envs.render", description=__doc__.splitlines()[0])
    parser.add_argument("--recording", required=True, help="file by tfpg.envs.render.make_video")
    parser.add_argument("--video", required=True, help="file to write: " + ", ".join(SUFFIXES))
    given = parser.parse_args(arguments)
    os.environ.setdefault("MUJOCO_GL", "egl")  # before Gymnasium imports MuJoCo
    try:
        film(_read(Path(given.recording)), check_video(given.video))
        return 0
    except (UserError, RunError) as error:
        print(f"{_HEAD}{error}", file=sys.stderr)
        return 1


def film(recording: Recording, path: Path) -> None:
    """Plays the episode again in this process, a frame for each state, and writes the video under its name at once."""
    env = _make(recording)
    try:
        rate = env.metadata.get("render_fps") or FRAMES_PER_SECOND
        first = _picture(env, recording, lambda: _begin(env, recording))
        # Not beside `path`: an encoder that is stopped may still create its file after we have cleaned up.
        with tempfile.TemporaryDirectory(prefix="tfpg-", ignore_cleanup_errors=True) as directory:
            whole = Path(directory) / f"film{path.suffix}"
            _write(whole, rate, first, env, recording)
            with storage.atomically(path) as temporary:
                shutil.copyfile(whole, temporary)
    finally:
        env.close()


def _write(path: Path, rate: float, first: np.ndarray, env: Any, recording: Recording) -> None:
    try:
        import imageio

        options: dict[str, Any] = {} if path.suffix == ".gif" else {"macro_block_size": MACRO_BLOCK}
        writer = imageio.get_writer(path, fps=rate, **options)
    except (ImportError, ValueError) as error:
        raise RunError(f"this video cannot be written ({_line(error)}): pip install imageio imageio-ffmpeg.") from error
    with writer:
        writer.append_data(first)
        for t, action in enumerate(recording.actions):
            obs = env.step(_native(action))[0]
            _compare(obs, recording, t + 1)
            writer.append_data(_picture(env, recording))


def _make(recording: Recording) -> Any:
    import gymnasium as gym

    # Gymnasium itself looks here when it draws: a clear answer beforehand.
    gym.logger.min_level = gym.logger.ERROR
    try:
        modes = _modes(gym, recording.env_id)
        if modes is not None and "rgb_array" not in modes:
            raise RunError(f"{recording.env_id} cannot be filmed: it has no rgb_array pictures.")
        env = opened(recording.env_id, recording.env_args, render_mode="rgb_array")
        if not {"camera_id", "camera_name"} & set(recording.env_args):
            _follow(env)
        return env
    except RunError:
        raise
    except Exception as error:
        raise RunError(f"{recording.env_id} could not be made for drawing: {_why(error)}") from error


def _follow(env: Any) -> None:
    """Takes the camera that moves with the robot, where its model has one: Gymnasium's own stays where it was put."""
    renderer = getattr(env.unwrapped, "mujoco_renderer", None)
    if renderer is None:
        return
    import mujoco

    camera = mujoco.mj_name2id(env.unwrapped.model, mujoco.mjtObj.mjOBJ_CAMERA, "track")
    if camera >= 0:
        renderer.camera_id = camera


def _modes(gym: Any, env_id: str) -> list[str] | None:
    """The render modes that the task's class declares; None if it cannot be told without making it."""
    from gymnasium.envs.registration import load_env_creator

    module, _, name = env_id.rpartition(":")
    if module:
        __import__(module)
    entry = gym.spec(name).entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    metadata = getattr(creator, "metadata", None)
    return None if metadata is None else list(metadata.get("render_modes", []))


def _native(action: np.ndarray) -> Any:
    """The action as the task takes it: an array, or a Python number."""
    return action if action.ndim else action.item()


def _begin(env: Any, recording: Recording) -> None:
    _compare(env.reset(seed=recording.seed)[0], recording, 0)


def _picture(env: Any, recording: Recording, before: Callable[[], None] = lambda: None) -> np.ndarray:
    before()
    try:
        frame = env.render()
    except Exception as error:
        raise RunError(f"{recording.env_id} cannot be drawn: {_why(error)}") from error
    frame = np.asarray(frame) if frame is not None else None
    if frame is None or frame.ndim != 3 or frame.dtype != np.uint8:
        raise RunError(f"{recording.env_id} cannot be filmed: it has no rgb_array pictures.")
    return frame


def _compare(obs: Any, recording: Recording, t: int) -> None:
    if not np.array_equal(np.asarray(obs, np.float64), recording.obs[t]):
        raise RunError(f"{recording.env_id} did not repeat itself: the replay departs from the recording at step {t}.")


def _read(path: Path) -> Recording:
    arrays = storage.read_npz(path)
    try:
        env_id, env_args = json.loads(str(arrays["task"]))
        return Recording(env_id, env_args, int(arrays["seed"]), arrays["actions"], arrays["obs"])
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is no recording: {_line(error)}.") from None


def _why(error: Exception) -> str:
    text = _line(error)
    if type(error).__name__ == "DependencyNotInstalled":
        return text if text.endswith(".") else text + "."
    if isinstance(error, ImportError) and getattr(error, "name", None):
        return f"the package {error.name} is missing."
    if any(word in f"{type(error).__name__} {text}" for word in ("EGL", "egl", "OpenGL", "MUJOCO_GL", "display")):
        return f"MuJoCo has no way to draw with MUJOCO_GL={os.environ['MUJOCO_GL']} here ({text}); install EGL (libegl1)."
    return text if text.endswith(".") else text + "."


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
