"""Mails that come in large messages: carried in the order they came, a runner for each connection."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Mail = TypeVar("Mail")

AHEAD = 4
"""Mails for each runner that may wait, claimed, when the next message's are claimed: neither idle nor hoarding."""


class Crowd(Generic[Mail]):
    """Carries each mail by `carry`, which says when it has ended by calling what it is given with it."""

    def __init__(self, carry: Callable[[Mail, Callable[[], None]], Awaitable[None]], *, runners: int) -> None:
        self._carry = carry
        self._most = runners
        self._waiting: deque[tuple[Mail, Callable[[], None]]] = deque()
        self._runners: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()

    async def room(self) -> None:
        """Wait until few are waiting."""
        await self._room.wait()

    async def __call__(self, mails: Sequence[Mail]) -> None:
        """Carry these, behind those that came before; return when the last of them has ended."""
        if not mails:
            return
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        left = len(mails)

        def end_one() -> None:
            nonlocal left
            left -= 1
            if not left and not ended.done():
                ended.set_result(None)

        self._waiting.extend((mail, end_one) for mail in mails)
        self._open_or_shut()
        for _ in range(min(len(mails), self._most - len(self._runners))):
            self.run()
        await ended

    def run(self) -> None:
        """Begin one more runner."""
        runner = asyncio.create_task(self._run())
        self._runners.add(runner)
        runner.add_done_callback(self._runners.discard)

    async def _run(self) -> None:
        while self._waiting:
            mail, end = self._waiting.popleft()
            self._open_or_shut()
            await self._carry(mail, end)

    def _open_or_shut(self) -> None:
        if len(self._waiting) <= AHEAD * self._most:
            self._room.set()
        else:
            self._room.clear()
