"""Mails that wait while the mail server is away: without an attempt, and all at once when it is back."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from mailroom.kit.coalescer import Coalescer
from mailroom.kit.errors import Unavailable
from mailroom.mail.delivery.attempt import ProgressSink
from mailroom.mail.ledger.claims import Ledger, RecordedState
from mailroom.mail.retry_policy import wait
from mailroom.mail.smtp.pool import Pool
from mailroom.mail.states import Reason
from mailroom.mail.views import SERVER_TROUBLE, snapshot
from mailroom.progress.snapshot import Snapshot

logger = logging.getLogger(__name__)


class Deferral:
    """Puts mails off while the circuit is open."""

    def __init__(self, ledger: Ledger, pool: Pool, progress: ProgressSink) -> None:
        self._ledger = ledger
        self._pool = pool
        self._progress = progress
        self._together: Coalescer[UUID, RecordedState | None] = Coalescer(self._defer_all)

    async def defer(self, mail_id: UUID) -> Snapshot | None:
        """Put the mail off and return its snapshot; None if it was in another state, or if the server is back.

        Raises `Unavailable` while PostgreSQL is away.
        """
        outage = self._pool.outage
        recorded = await self._together.run(mail_id)
        if recorded is None or outage is None:
            return None
        result = outage.result
        shown = snapshot(
            recorded.id,
            recorded.state,
            attempt=recorded.attempt,
            step=recorded.step,
            reason=result.reason,
            code=result.code,
            enhanced=result.enhanced,
            answer=result.text,
            since=recorded.reason_since,
            retry_at=recorded.next_attempt_at,
        )
        self._progress.show(shown)
        return shown

    async def defer_paused(self, ids: Sequence[UUID]) -> None:
        """Put off those of the mails that an operator holds back, and show that. Raises `Unavailable`."""
        if not ids:
            return
        for row in await self._ledger.defer_paused(ids):
            self._progress.show(
                snapshot(row.id, row.state, attempt=row.attempt, step=row.step, reason=Reason.PAUSED)
            )

    async def _defer_all(self, ids: Sequence[UUID]) -> list[RecordedState | None]:
        outage = self._pool.outage
        if outage is None:  # the server came back just now: the sweep publishes these again
            return [None] * len(ids)
        pause = wait(outage.result.reason or Reason.UNREACHABLE, timedelta(minutes=1))
        recorded = {row.id: row for row in await self._ledger.defer(ids, outage.result, outage.since, pause)}
        return [recorded.get(mail_id) for mail_id in ids]

    async def release(self) -> None:
        """Make every mail due now that waits for the mail server."""
        try:
            await self._ledger.release(sorted(SERVER_TROUBLE))
        except Unavailable:
            logger.warning("mails that waited for the mail server stay until their next attempt: no database")

    def close(self) -> None:
        """Drop what is not written yet."""
        self._together.close()
