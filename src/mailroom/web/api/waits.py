"""Long polls: requests that wait for news of a task, through the poller this process has anyway."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from mailroom.accounts.views import Session
from mailroom.progress.snapshot import NO_NEWS, Snapshot
from mailroom.progress.tracker import Tracker
from mailroom.tasks.tickets import TicketOwner
from mailroom.web.views.watching import watcher_of

LONGEST = 30.0
"""Seconds a request waits at most: proxies end requests that are idle for a minute."""
MOST = 8
"""Requests of one session that may wait in one process; a browser opens six connections to a server."""


class LongPoll:
    """One request that waits for news of one task, with the rights of its session when it came."""

    def __init__(self, session: Session, ticket: UUID, holder: TicketOwner) -> None:
        self.session_id, self.standing, self.watcher = session.id, session.standing, watcher_of(session)
        self.tasks = {ticket: holder}
        self.ended = asyncio.Event()
        """Set if the request is to be answered now, without news."""
        self.forbidden = False
        """True if it may not watch the task any more."""

    def close(self, _code: int = 0, _reason: str = "") -> None:
        """End it: its session ended or changed."""
        self.forbidden = True
        self.ended.set()

    def lose(self, _ticket: UUID) -> None:
        """End it: the ticket is someone else's by now."""
        self.close()


class Waits:
    """The requests that wait in this process."""

    def __init__(self) -> None:
        self.waiting: set[LongPoll] = set()
        self._ending = False

    def end(self) -> None:
        """Have every request answered now: this process is about to end."""
        self._ending = True
        for wait in self.waiting:
            wait.ended.set()

    def may_wait(self, session: UUID) -> bool:
        """Tell whether one more request of this session may wait."""
        return sum(wait.session_id == session for wait in self.waiting) < MOST

    async def news(
        self, tracker: Tracker, wait: LongPoll, *, seconds: float, is_news: Callable[[Snapshot], bool]
    ) -> Snapshot | None:
        """Return the first snapshot that is news; None after so many seconds, or once `wait` is ended.

        It does not ask Redis: it is one more watcher of the poller.
        """
        subscription = tracker.subscribe()

        async def first() -> Snapshot | None:
            async for snapshot in subscription:
                if isinstance(snapshot, Snapshot) and snapshot.state != NO_NEWS and is_news(snapshot):
                    return snapshot
            return None

        parts: set[asyncio.Task[Any]] = {
            asyncio.create_task(first()),
            asyncio.create_task(wait.ended.wait(), name="ending"),
        }
        self.waiting.add(wait)
        if self._ending:
            wait.ended.set()
        try:
            await subscription.watch(wait.tasks)  # shared with the poller: not to be cancelled half-way
            done, _ = await asyncio.wait(parts, timeout=min(seconds, LONGEST), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.waiting.discard(wait)
            subscription.close()
            for part in parts:
                part.cancel()
            for part in parts:
                with suppress(asyncio.CancelledError, Exception):
                    await part
        if wait.forbidden:
            return None
        found = [part.result() for part in done if part.get_name() != "ending"]
        return found[0] if found else None
