"""Claimed mails that came many at a time, waiting for a bulk sender in the order they came."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from mailroom.mail.ledger.claims import Claim


class BulkMessage:
    """The mails that one message of Celery brought; `done` is set when the last of them has ended."""

    def __init__(self, mails: int) -> None:
        self._left = mails
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not mails:
            self.done.set_result(None)

    def end_one(self) -> None:
        """Count one of the mails as ended."""
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result(None)


class QueuedMail(NamedTuple):
    """A claimed mail, and the message it came with."""

    claim: Claim
    message: BulkMessage


class BulkQueue:
    """First come, first served; mails that were put back come before all others."""

    def __init__(self, *, most_waiting: int) -> None:
        """`most_waiting`: there is room for another message while at most so many mails wait."""
        self._most_waiting = most_waiting
        self._waiting: deque[QueuedMail] = deque()
        self._put_back: deque[QueuedMail] = deque()
        self.unrecorded = 0
        """Mails of the queue whose attempt has ended and is not recorded yet."""
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        """Return how many mails wait."""
        return len(self._waiting) + len(self._put_back)

    async def room(self) -> None:
        """Wait until there is room for another message: at most `most_waiting` claimed mails wait."""
        await self._room.wait()

    def put(self, claims: Sequence[Claim]) -> BulkMessage:
        """Add the mails of one message; return the message, whose `done` says when all of them have ended."""
        message = BulkMessage(len(claims))
        self._waiting.extend(QueuedMail(claim, message) for claim in claims)
        self._changed()
        return message

    async def get(self) -> QueuedMail:
        """Take the next mail; wait until there is one."""
        while (mail := self.next()) is None:
            self._filled.clear()
            await self._filled.wait()
        return mail

    def next(self) -> QueuedMail | None:
        """Take the next mail; None if none waits."""
        return self._put_back.popleft() if self._put_back else self.next_new()

    def next_new(self) -> QueuedMail | None:
        """Take the next mail that was not put back; None if none waits."""
        if not self._waiting:
            return None
        mail = self._waiting.popleft()
        self._changed()
        return mail

    def put_back(self, mail: QueuedMail) -> None:
        """Put back a mail that was taken but not begun, for the first sender that is free."""
        self._put_back.append(mail)
        self._changed()

    def take_back(self, mail: QueuedMail) -> bool:
        """Take this mail, which was put back; False if another sender has it."""
        if mail not in self._put_back:
            return False
        self._put_back.remove(mail)
        return True

    def _changed(self) -> None:
        if self:
            self._filled.set()
        if len(self._waiting) <= self._most_waiting:
            self._room.set()
        else:
            self._room.clear()
