"""One watcher's stream of snapshots."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

from mailroom.progress.snapshot import Snapshot


class Source(Protocol):
    """Where a subscription gets its snapshots from: the tracker."""

    async def add(self, subscription: "Subscription", tasks: Sequence[str]) -> None:
        """Push snapshots of these tasks from now on, the present ones first."""

    def remove(self, subscription: "Subscription", task: str) -> None:
        """Push no snapshot of this task any more."""

    def push_again(self, subscription: "Subscription", task: str) -> None:
        """Push the newest snapshot of this task once more."""


class Subscription:
    """One watcher's stream: for each task only the newest snapshot waits, however slow the watcher."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._news: dict[str, Snapshot] = {}
        self._event = asyncio.Event()
        self.closed = False
        self.tasks: set[str] = set()

    def push(self, snapshot: Snapshot) -> None:
        """Put a snapshot in place of an older one of the same task."""
        self._news[snapshot.task] = snapshot
        self._event.set()

    @property
    def waiting(self) -> int:
        """How many snapshots wait to be taken: one a task at most."""
        return len(self._news)

    def push_again(self, task: str) -> None:
        """Have the newest snapshot of a task that is watched told again."""
        self._source.push_again(self, task)

    async def watch(self, tasks: Iterable[str]) -> None:
        """Watch these tasks too: a snapshot of each first, then its changes. The caller checks who may."""
        await self._source.add(self, [task for task in tasks if task not in self.tasks])

    def unwatch(self, tasks: Iterable[str]) -> None:
        """Watch these no longer."""
        for task in tasks:
            self._news.pop(task, None)
            self._source.remove(self, task)

    def close(self) -> None:
        """Watch nothing any more and end the stream, after what still waits."""
        for task in list(self.tasks):
            self._source.remove(self, task)
        self.closed = True
        self._event.set()

    async def __aiter__(self) -> AsyncIterator[Snapshot]:
        """Yield snapshots as they come, until closed."""
        while True:
            await self._event.wait()
            self._event.clear()
            while self._news:
                yield self._news.pop(next(iter(self._news)))
            if self.closed:
                return
