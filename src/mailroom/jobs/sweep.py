"""The sweep over mails, in every worker: it publishes mails again whose message was lost.

There is no `celery beat` process.
"""

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
CLEAN_UP_EVERY = 600.0
"""Seconds between two clean-ups."""
PUT_OFF = 15.0
"""Seconds by which mails are put off while the mail server is away."""

CleanUp = Callable[[], Awaitable[None]]


class Sweep:
    """Sweeps while the process runs.

    `publish_mails` publishes mails in the background; `wake_bulk` has a worker claim those of the bulk stream.
    `queue_depth` returns how many messages wait, None if that is unknown; it may block. Each of the `clean_ups`
    deletes a bounded number of old rows.
    """

    def __init__(
        self,
        rescuer: Rescuer,
        *,
        publish_mails: Callable[[Sequence[UUID]], None],
        wake_bulk: Callable[[], None],
        queue_depth: Callable[[], int | None],
        pool: Pool,
        clean_ups: Sequence[CleanUp],
    ) -> None:
        self._rescuer = rescuer
        self._publish_mails = publish_mails
        self._wake_bulk = wake_bulk
        self._queue_depth = queue_depth
        self._pool = pool
        self._clean_ups = clean_ups
        self._task: asyncio.Task[None] | None = None
        self._clean_up_at = time.monotonic() + random.uniform(5, 60)  # noqa: S311  # not all processes at once

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.create_task(self._run(), name="sweep")

    def stop(self) -> None:
        """Stop sweeping."""
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
        due = await self._rescuer.sweep(queue_empty=depth == 0, put_off=PUT_OFF if self._pool.outage else 0)
        if due:
            logger.info("overdue mails published again: %d", len(due))
            self._publish_mails(due)
        if not self._pool.outage and await self._rescuer.bulk_is_due():
            self._wake_bulk()
        if time.monotonic() >= self._clean_up_at:
            self._clean_up_at = time.monotonic() + CLEAN_UP_EVERY
            for clean_up in self._clean_ups:
                await clean_up()
