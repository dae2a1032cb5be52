"""How many processors this process may use: a container, systemd or `taskset` may allow fewer than there are."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from mailroom.settings.control_groups import MOUNTED, OWN, folders, numbers


def usable_cores() -> int:
    """Return the number of processors in the affinity mask, or that the control groups' quota allows, if fewer."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, quota(MOUNTED, OWN))))


def quota(mounted: Path, own: Path) -> float:
    """Return the least quota of CPU among our control groups and those above them; infinity if there is none.

    Version 2 has ``cpu.max`` ("quota period" in microseconds, or "max"); version 1 has two files, -1 for no quota.
    """
    return min(_quotas(mounted, own), default=math.inf)


def _quotas(mounted: Path, own: Path) -> Iterator[float]:
    for version, folder in folders("cpu", mounted, own):
        files = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")  # noqa: PLR2004
        match numbers(*(folder / name for name in files)):
            case [quota, period] if quota > 0 and period > 0:
                yield quota / period
