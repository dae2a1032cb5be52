"""One watcher's stream of snapshots."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from mailroom.progress.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Notice:
    """News about something that is no task: an unknown ticket, or a list that changed."""

    task: str
    state: str
    message: str
    final: bool = False

    def public(self, *, owner: bool = False) -> dict[str, Any]:  # noqa: ARG002  # as a snapshot's; not used
        """Return the JSON of the protocol."""
        return {"task": self.task, "state": self.state, "message": self.message, "final": self.final}


class Source(Protocol):
    """Where a subscription gets its snapshots from: the tracker."""

    async def add(self, subscription: "Subscription", tasks: Sequence[UUID]) -> None:
        """Push snapshots of these tasks from now on, the present ones first."""

    def remove(self, subscription: "Subscription", task: UUID) -> None:
        """Push no snapshot of this task any more."""

    def push_again(self, subscription: "Subscription", task: UUID) -> None:
        """Push the newest snapshot of this task once more."""


class Subscription:
    """One watcher's stream. For each task only the newest snapshot waits, however slow the watcher is."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._news: dict[UUID | str, Snapshot | Notice] = {}
        self._event = asyncio.Event()
        self.closed = False
        self.tasks: set[UUID] = set()

    def push(self, news: Snapshot | Notice) -> None:
        """Put this in place of news of the same task or text that still waits to be taken."""
        self._news[news.task] = news
        self._event.set()

    @property
    def waiting(self) -> int:
        """How many snapshots wait to be taken: one a task at most."""
        return len(self._news)

    def push_again(self, task: UUID) -> None:
        """Push the newest snapshot of a watched task again."""
        self._source.push_again(self, task)

    async def watch(self, tasks: Iterable[UUID]) -> None:
        """Watch these tasks too: first a snapshot of each, then its changes. The caller checks who may watch."""
        await self._source.add(self, [task for task in tasks if task not in self.tasks])

    def unwatch(self, tasks: Iterable[UUID]) -> None:
        """Watch these no longer; their waiting snapshots are dropped."""
        for task in tasks:
            self._news.pop(task, None)
            self._source.remove(self, task)

    def close(self) -> None:
        """Watch nothing any more, and end the stream after the snapshots that still wait."""
        for task in list(self.tasks):
            self._source.remove(self, task)
        self.closed = True
        self._event.set()

    async def __aiter__(self) -> AsyncIterator[Snapshot | Notice]:
        """Yield snapshots and notices as they come, until closed."""
        while True:
            await self._event.wait()
            self._event.clear()
            while self._news:
                yield self._news.pop(next(iter(self._news)))
            if self.closed:
                return
