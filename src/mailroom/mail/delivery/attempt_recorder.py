"""What a worker process writes of its mails on their way: in step, so that many of them share a commit."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from mailroom.kit.coalescer import Coalescer
from mailroom.kit.errors import Unavailable
from mailroom.mail.ledger.claims import AttemptEnding, HandingOver, Ledger, RecordedState

GATHER = 0.003
"""Seconds a note waits for company where the last ones had some."""

Note = HandingOver | AttemptEnding
Noted = datetime | RecordedState | None


class AttemptRecorder:
    """Joins the handing over of some mails and the endings of others."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._batch: Coalescer[Note, Noted] = Coalescer(self._write, gather=GATHER)

    async def hand_over(self, wish: HandingOver) -> datetime | None:
        """Record that a mail is about to be handed over; return when, None where it is not ours or not known.

        While PostgreSQL is away it waits where endings do; its lease is looked at once it is back.
        """
        return cast("datetime | None", await self._batch(wish))

    def record(self, ending: AttemptEnding) -> "asyncio.Future[RecordedState | None]":
        """Begin to record how an attempt ended; return what will hold where its mail is then, None if elsewhere.

        It waits for PostgreSQL as long as this process lives: an ending must not be forgotten.
        """
        return cast("asyncio.Future[RecordedState | None]", self._batch.begin(ending))

    async def _write(self, notes: Sequence[Note]) -> list[Noted]:
        endings = [note for note in notes if isinstance(note, AttemptEnding)]
        wishes = [note for note in notes if isinstance(note, HandingOver)]
        pause = 0.1
        while True:
            try:
                ended, handed = await self._ledger.record_and_hand_over(endings, wishes)
                break
            except Unavailable:
                if not endings:
                    return [None] * len(wishes)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
        told = {AttemptEnding: iter(ended), HandingOver: iter(handed)}
        return [next(told[type(note)]) for note in notes]

    def close(self) -> None:
        """Give up what is not written yet."""
        self._batch.close()
