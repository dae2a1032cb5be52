"""Mails that come in large messages: carried in the order they came, by a few runners."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

Mail = TypeVar("Mail")

AHEAD = 4
"""Mails for each runner that may wait, claimed, when the next message's are claimed: neither idle nor hoarding."""


class Waiting(NamedTuple, Generic[Mail]):
    """A mail of the crowd, and what to call when it has ended."""

    mail: Mail
    end: Callable[[], None]


class BulkQueue(Generic[Mail]):
    """Has at most `runners` at a time `run`, which takes mails by `next` until there are none."""

    def __init__(self, run: Callable[["BulkQueue[Mail]"], Awaitable[None]], *, runners: int) -> None:
        self._run_through = run
        self._most = runners
        self._waiting: deque[Waiting[Mail]] = deque()
        self._returned: deque[Waiting[Mail]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runners = 0
        self._room = asyncio.Event()
        self._room.set()

    async def room(self) -> None:
        """Wait until few are waiting."""
        await self._room.wait()

    @property
    def waits(self) -> bool:
        """True where somebody is still to be carried."""
        return bool(self._waiting or self._returned)

    async def __call__(self, mails: Sequence[Mail]) -> None:
        """Have these carried, behind those that came before; return when the last of them has ended."""
        if not mails:
            return
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        left = len(mails)

        def end_one() -> None:
            nonlocal left
            left -= 1
            if not left and not ended.done():
                ended.set_result(None)

        self._waiting.extend(Waiting(mail, end_one) for mail in mails)
        self._open_or_shut()
        for _ in range(min(len(mails), self._most - self._runners)):
            self.run()
        await ended

    def next(self) -> Waiting[Mail] | None:
        """Return who is to be carried next, if anyone waits."""
        return self._returned.popleft() if self._returned else self.next_new()

    def next_new(self) -> Waiting[Mail] | None:
        """Like `next`, but nobody who was put back."""
        if not self._waiting:
            return None
        first = self._waiting.popleft()
        self._open_or_shut()
        return first

    def put_back(self, mail: Waiting[Mail]) -> None:
        """Let whoever is free carry this one instead, before all others."""
        self._returned.append(mail)
        if self._runners < self._most:
            self.run()

    def take_back(self, mail: Waiting[Mail]) -> bool:
        """Take one that was put back, if nobody has it yet."""
        if mail not in self._returned:
            return False
        self._returned.remove(mail)
        return True

    def run(self) -> None:
        """Begin one more runner."""
        self._runners += 1
        task = asyncio.create_task(self._run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        try:
            await self._run_through(self)
        finally:
            self._runners -= 1  # at once: a mail that comes from now on needs another one
            if self.waits and self._runners < self._most:
                self.run()

    def _open_or_shut(self) -> None:
        if len(self._waiting) <= AHEAD * self._most:
            self._room.set()
        else:
            self._room.clear()
