"""The sweep, in every worker: what fell between row and queue is published again. No beat process needed."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from psycopg.errors import IdleInTransactionSessionTimeout

from mailroom.kit.errors import Unavailable
from mailroom.mail.ledger.rescuer import Rescuer
from mailroom.mail.smtp.pool import Pool

logger = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two sweeps of one process."""
CHORES_EVERY = 600.0
"""Seconds between two clean-ups."""
WAIT_ON = 15.0
"""Seconds by which mails are put off while the mail server is away."""

Chore = Callable[[], Awaitable[None]]


class Sweep:
    """Sweeps while the process lives."""

    def __init__(
        self,
        rescuer: Rescuer,
        publish_mails: Callable[[Sequence[UUID]], None],
        queue_depth: Callable[[], int | None],
        pool: Pool,
        chores: Sequence[Chore],
    ) -> None:
        self._rescuer = rescuer
        self._publish_mails = publish_mails
        self._queue_depth = queue_depth
        self._pool = pool
        self._chores = chores
        self._task: asyncio.Task[None] | None = None
        self._chores_at = time.monotonic() + random.uniform(5, 60)  # noqa: S311  # not all processes at once

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.create_task(self._run(), name="sweep")

    def stop(self) -> None:
        """Sweep no more."""
        if self._task:
            self._task.cancel()

    async def _run(self) -> None:
        away = False
        while True:
            await asyncio.sleep(EVERY * random.uniform(0.8, 1.2))  # noqa: S311
            try:
                await self._sweep()
                away = False
            except Unavailable:
                if not away:
                    logger.warning("no sweep while the database is away")
                away = True
            except IdleInTransactionSessionTimeout:
                logger.warning("this process stood still in mid-sweep; PostgreSQL has let another one sweep")
            except Exception:
                logger.exception("a sweep failed; the next one tries again")

    async def _sweep(self) -> None:
        depth = await asyncio.to_thread(self._queue_depth)
        due = await self._rescuer.sweep(queue_empty=depth == 0, put_off=WAIT_ON if self._pool.outage else 0)
        if due:
            logger.info("overdue mails published again: %d", len(due))
            self._publish_mails(due)
        if time.monotonic() >= self._chores_at:
            self._chores_at = time.monotonic() + CHORES_EVERY
            for chore in self._chores:
                await chore()
