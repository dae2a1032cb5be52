"""How much memory this process may use, and how many worker processes that is enough for."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from mailroom.settings.control_groups import MOUNTED, OWN, folders, numbers
from mailroom.settings.cores import usable_cores

MB = 1_000_000
OF_A_WORKER = 150 * MB
"""A worker process has 115 MB after 100,000 mails (`make bench`); large mails take more for a moment."""
BESIDE_THEM = 100 * MB
"""Left for the process that starts the workers, and for what a host runs beside it."""


def usable_memory() -> float:
    """Return the bytes of the machine, or those that control groups allow, if fewer; infinity: nobody knows."""
    try:
        machine: float = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on every system
        machine = math.inf
    return min(machine, limit(MOUNTED, OWN))


def limit(mounted: Path, own: Path) -> float:
    """Return the least limit of memory among our control groups and those above them; infinity without one."""
    return min(_limits(mounted, own), default=math.inf)


def _limits(mounted: Path, own: Path) -> Iterator[float]:
    for version, folder in folders("memory", mounted, own):
        name = "memory.max" if version == 2 else "memory.limit_in_bytes"  # noqa: PLR2004
        yield from (number for number in numbers(folder / name) if number > 0)


def worker_processes() -> int:
    """Return how many worker processes to run by default: one for each core, as far as the memory is enough."""
    memory = usable_memory()
    enough = usable_cores() if math.isinf(memory) else int((memory - BESIDE_THEM) // OF_A_WORKER)
    return max(1, min(usable_cores(), enough))
