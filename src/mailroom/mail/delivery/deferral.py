"""Mails that wait for a mail server that is away: without an attempt, and all at once when it is back."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from mailroom.kit.coalescer import Coalescer
from mailroom.kit.errors import Unavailable
from mailroom.mail.delivery.attempt import ProgressSink, announce
from mailroom.mail.ledger.claims import Ledger, RecordedState
from mailroom.mail.retry_policy import wait
from mailroom.mail.smtp.pool import Pool
from mailroom.mail.states import Reason
from mailroom.mail.views import SERVER_TROUBLE, snapshot
from mailroom.progress.snapshot import Snapshot

logger = logging.getLogger(__name__)


class Deferral:
    """Lets mails wait while the circuit is open."""

    def __init__(self, ledger: Ledger, pool: Pool, show: ProgressSink) -> None:
        self._ledger = ledger
        self._pool = pool
        self._show = show
        self._defer: Coalescer[UUID, RecordedState | None] = Coalescer(self._defer_all)

    async def __call__(self, mail_id: UUID) -> Snapshot | None:
        """Let the mail wait; return where it is then, None where there was nothing to do."""
        outage = self._pool.outage
        ended = await self._defer(mail_id)
        if ended is None or outage is None:
            return None
        result = outage.result
        return announce(
            self._show,
            snapshot(
                ended.id,
                ended.state,
                attempt=ended.attempt,
                step=ended.step,
                reason=result.reason,
                code=result.code,
                enhanced=result.enhanced,
                answer=result.text,
                since=ended.reason_since,
                retry_at=ended.next_attempt_at,
            ),
        )

    async def _defer_all(self, ids: Sequence[UUID]) -> list[RecordedState | None]:
        outage = self._pool.outage
        if outage is None:  # back in this very moment: the sweep comes for these
            return [None] * len(ids)
        pause = wait(outage.result.reason or Reason.UNREACHABLE, timedelta(minutes=1))
        ended = {end.id: end for end in await self._ledger.defer(ids, outage.result, outage.since, pause)}
        return [ended.get(mail_id) for mail_id in ids]

    async def release(self) -> None:
        """Let all go that waited: the mail server is back."""
        try:
            await self._ledger.release(sorted(SERVER_TROUBLE))
        except Unavailable:
            logger.warning("mails that waited for the mail server go at their own time: no database")

    def close(self) -> None:
        """Give up what is not written yet."""
        self._defer.close()
