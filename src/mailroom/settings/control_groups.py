"""The control groups of this process: containers and systemd give it less than the machine has (Linux)."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOUNTED, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def folders(controller: str, mounted: Path, own: Path) -> Iterator[tuple[int, Path]]:
    """Yield the version (1 or 2) and the folder of each group we are in, and of those above it."""
    with suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                yield from ((2, folder) for folder in _with_parents(mounted, group))
            elif controller in controllers.split(","):
                yield from ((1, folder) for folder in _with_parents(mounted / controller, group))


def _with_parents(mounted: Path, group: str) -> Iterator[Path]:
    folder = mounted / group.strip("/")
    yield folder
    while folder != mounted and mounted in folder.parents:
        folder = folder.parent
        yield folder


def numbers(*files: Path) -> list[float]:
    """Return the numbers in these files; an empty list if one cannot be read or has a word in it ("max")."""
    with suppress(OSError, ValueError):
        return [float(word) for file in files for word in file.read_text().split()]
    return []
