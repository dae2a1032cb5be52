"""Long polls: requests that wait for news of a task, through the poller this process has anyway."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from mailroom.progress.snapshot import Snapshot
from mailroom.progress.tracker import Tracker

LONGEST = 30.0
"""Seconds a request waits at most: proxies end idle ones from a minute on."""
MOST = 8
"""Requests of one session that may wait in one process; a browser opens six connections to a server."""


class Waits:
    """The requests that wait in this process."""

    def __init__(self) -> None:
        self._waiting: Counter[UUID] = Counter()
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Have every request answered now: this process is about to end."""
        self._ending.set()

    def may_wait(self, session: UUID) -> bool:
        """Tell whether one more request of this session may wait."""
        return self._waiting[session] < MOST

    async def news(
        self, tracker: Tracker, session: UUID, task: str, *, seconds: float, is_news: Callable[[Snapshot], bool]
    ) -> Snapshot | None:
        """Return the first snapshot that is news; None after so many seconds, and when the process ends.

        It asks Redis nothing: it is one more watcher of the poller's.
        """
        subscription = tracker.subscribe()

        async def first() -> Snapshot | None:
            async for snapshot in subscription:
                if is_news(snapshot):
                    return snapshot
            return None

        parts: set[asyncio.Task[Any]] = {
            asyncio.create_task(first()),
            asyncio.create_task(self._ending.wait(), name="ending"),
        }
        self._waiting[session] += 1
        try:
            await subscription.watch([task])  # the poller's own question: not to be cancelled half-way
            done, _ = await asyncio.wait(parts, timeout=min(seconds, LONGEST), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting[session] -= 1
            if not self._waiting[session]:
                del self._waiting[session]
            subscription.close()
            for part in parts:
                part.cancel()
            for part in parts:
                with suppress(asyncio.CancelledError, Exception):
                    await part
        found = [part.result() for part in done if part.get_name() != "ending"]
        return found[0] if found else None
