"""On what was it measured? A table of speeds says nothing without."""

from __future__ import annotations

import datetime
import os
import platform
from typing import Any

from tfpg.run_directory import commit, processor, versions

_PEERS = ("stable-baselines3", "sb3-contrib", "torch")


def facts() -> dict[str, Any]:
    """Processor, cores, memory, versions, commit, date, and how busy the machine was before."""
    return {
        "processor": processor(), "cores": len(os.sched_getaffinity(0)), "memory_gb": _memory(), "load": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.machine()}", "python": platform.python_version(),
        "versions": versions() | versions(_PEERS), "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}


def _memory() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
