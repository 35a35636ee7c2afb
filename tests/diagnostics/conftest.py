"""Policies that nobody trained, saved and loaded once for all tests of a process: a second or two each."""

import pytest

from tests.diagnostics import handmade
from tfpg.diagnostics import probe


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """untrained(config, index=7) → Probe; another index has other numbers."""
    made = {}

    def get(config, index=7):
        if (config, index) not in made:
            directory = tmp_path_factory.mktemp("policies") / f"{index:06}"
            made[config, index] = probe.load(handmade.Made(config, index=index).save(directory))
        return made[config, index]

    return get
