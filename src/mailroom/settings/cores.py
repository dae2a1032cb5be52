"""How many processors this process may use: a container, systemd or `taskset` may allow fewer than there are."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CONTROL_GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Return the processors of the affinity mask, or those that the control groups' quota pays for, if fewer."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, quota(CONTROL_GROUPS, OWN_GROUPS))))


def quota(mounted: Path, own: Path) -> float:
    """Return the least quota of CPU among our control groups and those above them; infinity where there is none.

    Version 2 has ``cpu.max`` ("quota period" in microseconds, or "max"); version 1 has two files, -1 for no quota.
    """
    return min(_quotas(mounted, own), default=math.inf)


def _quotas(mounted: Path, own: Path) -> Iterator[float]:
    with suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                for folder in _with_parents(mounted, group):
                    yield from _read((folder / "cpu.max",))
            elif "cpu" in controllers.split(","):
                for folder in _with_parents(mounted / "cpu", group):
                    yield from _read((folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"))


def _with_parents(mounted: Path, group: str) -> Iterator[Path]:
    folder = mounted / group.strip("/")
    yield folder
    while folder != mounted and mounted in folder.parents:
        folder = folder.parent
        yield folder


def _read(files: tuple[Path, ...]) -> Iterator[float]:
    with suppress(OSError, ValueError):
        quota, period = (float(word) for file in files for word in file.read_text().split())
        if quota > 0 and period > 0:
            yield quota / period
