"""Files of Stable-Baselines3: those that it made itself (make_fixtures.py says how), and changed copies of them."""

import base64
import functools
import json
import pathlib
import zipfile

import numpy as np

from tfpg.diagnostics import foreign_imports
from tfpg.envs.make import describe
from tfpg.importing import stable_baselines, vec_normalize

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
TASKS = {"ppo": "Hopper-v5", "later": "Hopper-v5", "a2c": "CartPole-v1", "trpo": "Pendulum-v1", "elu": "Pendulum-v1"}
NORMALISED = ("ppo", "later", "trpo")


@functools.cache
def answers(name, folder=FIXTURES):
    """What the original says of random observations."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as found:
        return dict(found)


def read(name, folder=FIXTURES):
    """(policy, statistics)."""
    found = stable_baselines.read(folder / f"{name}.zip")
    size = found.spaces.obs_size
    statistics = vec_normalize.read(folder / f"{name}.pkl", size) if name in NORMALISED else vec_normalize.identity(size)
    return found, statistics


def imported(name, directory, folder=FIXTURES):
    """A SavedModel of it."""
    found, statistics = read(name, folder)
    foreign_imports.write(directory, found, statistics, describe(TASKS[name]), {"library": "Stable-Baselines3"})
    return directory


def naming(module, name):
    """A setting whose pickle names a class, in base64 as Stable-Baselines3 stores it."""
    return {":type:": "made for a test", ":serialized:": base64.b64encode(f"c{module}\n{name}\n.".encode()).decode()}


def pickled(data):
    return {":type:": "made for a test", ":serialized:": base64.b64encode(data).decode()}


def changed(path, settings=(), tensors=None, source="ppo", **members):
    """A copy of a zip with other settings, or other members (None: without). Args: tensors: bytes of policy.pth's entries."""
    with zipfile.ZipFile(FIXTURES / f"{source}.zip") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["data"] = json.dumps({**json.loads(contents["data"]), **dict(settings)}).encode()
    if tensors is not None:
        contents["policy.pth"] = _rezipped(contents["policy.pth"], tensors)
    contents |= members
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            if data is not None:
                archive.writestr(name, data)
    return path


def _rezipped(data, change):
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as inner, zipfile.ZipFile(out, "w") as archive:
        for name in inner.namelist():
            archive.writestr(name, change(name, inner.read(name)))
    return out.getvalue()
