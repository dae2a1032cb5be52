"""`mailroom up --reload`: starts the processes that run the code again when the code changes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from mailroom.ops.startup import shown

LOOK_EVERY = 0.5
"""Seconds between two looks; a thousand files take 10 ms."""
CODE = frozenset({".py", ".html", ".txt", ".css", ".js", ".svg", ".mo"})
MIGRATIONS = "migrations"

Stamps = dict[Path, tuple[int, int]]


class Changes:
    """Tells which files of code below some folders have changed since the last look: written, new or gone."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._seen = self._stamps()

    def look(self) -> list[Path]:
        """Return what has changed."""
        before, self._seen = self._seen, self._stamps()
        return sorted(path for path in before | self._seen if before.get(path) != self._seen.get(path))

    def _stamps(self) -> Stamps:
        return dict(self._files())

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        for folder in self._folders:
            for path in folder.rglob("*"):
                if path.suffix in CODE and "__pycache__" not in path.parts:
                    try:
                        found = path.stat()
                    except OSError:  # gone meanwhile, or a link to nowhere
                        continue
                    yield path, (found.st_mtime_ns, found.st_size)


async def follow(
    folders: Sequence[Path],
    restart: Callable[[], Awaitable[None]],
    migrate: Callable[[], Awaitable[object]],
    say: Callable[[str], None],
) -> None:
    """Call `restart` after each change below `folders`, and before that `migrate` if a migration changed."""
    changes = Changes(folders)
    while True:
        await asyncio.sleep(LOOK_EVERY)
        changed = await asyncio.to_thread(changes.look)
        if not changed:
            continue
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        say(f"{shown(changed[0])}{more} changed: starting again …")
        if any(MIGRATIONS in path.parts for path in changed):
            await migrate()
        await restart()
