"""What a worker process writes about mails: claims, hand-overs, endings, renewals; each for many mails at once.

Every write is fenced: it changes a row only while the row is in the attempt that the writer claimed. Times are
PostgreSQL's. Every method raises `Unavailable` while PostgreSQL is away. The statements are plain psycopg, which
costs a fifth of SQLAlchemy's engine.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from mailroom.kit.arrays import array, array_of_times, array_of_words
from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.mail.kinds import MailRow, MessageBytes
from mailroom.mail.ledger.identity import RestoreGuard
from mailroom.mail.ledger.queries import (
    ACCEPT_AND_HAND_OVER,
    CLAIM,
    CLAIM_BULK,
    CLAIM_WAITING,
    DEFER,
    DEFER_PAUSED,
    HANDED,
    LOCK,
    POISON_CANDIDATES,
    RECORD,
    RELEASE,
    RENEW,
)
from mailroom.mail.retry_policy import POISON_FROM, Decision, DeliveryResult
from mailroom.mail.states import State

LEASE = 30
"""Seconds from a claim or renewal until another worker may take the mail."""


class Claim(NamedTuple):
    """A mail that this process may send while the row is in this `attempt` and the lease lasts."""

    id: UUID
    kind: str
    recipient: str
    params: dict[str, Any]
    nonce: bytes
    created_at: datetime
    expires_at: datetime
    claimed_at: datetime
    attempt: int
    crashes: int
    on_uncertain: str
    uncertain: int = 0
    """Earlier attempts whose reply got lost."""
    message_id: UUID | None = None
    """The message of another program that it is a copy of; its content is the message's."""
    test: bool = False
    """True if it is a test mail, which goes to no mail server."""
    stream: str = "transactional"
    due_at: datetime | None = None
    """When it could first be claimed: queued, scheduled for, or due again."""
    wanted_at: datetime | None = None
    """When it was put, or the time it was scheduled for."""
    traceparent: str | None = None
    """The trace that put it, if there is one (W3C Trace Context)."""
    content: MessageBytes | None = None
    """The message's content, if it has been loaded (`mail/messages/contents.py`)."""
    language: str | None = None
    """The language of a mail that Mailroom writes itself."""
    suppressed: bool = False
    """True if its recipient wants no mail (`mail/ports.py`)."""

    @property
    def row(self) -> MailRow:
        """The facts that a kind gets."""
        facts = self.id, self.kind, self.recipient, self.params, self.nonce, self.created_at
        return MailRow(*facts, self.language)


class HandingOver(NamedTuple):
    """A mail that is to be handed over now; `connected_at` by PostgreSQL's clock, `server` as ``host:port``."""

    id: UUID
    attempt: int
    connected_at: datetime
    server: str


class AttemptEnding(NamedTuple):
    """How an attempt ended, and what was decided. `since`: since when the mail server cannot be used."""

    id: UUID
    attempt: int
    decision: Decision
    result: DeliveryResult
    connected_at: datetime | None = None
    server: str | None = None
    since: datetime | None = None
    crashed: bool = False


class RecordedState(NamedTuple):
    """A mail's state after an ending was recorded."""

    id: UUID
    attempt: int
    step: int
    state: str
    next_attempt_at: datetime | None
    reason_since: datetime | None
    changed_at: datetime


class Ledger:
    """Writes for one worker process, named `worker`."""

    def __init__(self, database: Database, worker: str, guard: RestoreGuard | None = None) -> None:
        self._database = database
        self._guard = guard
        self._claiming = {"lease": timedelta(seconds=LEASE), "worker": worker, "poison_from": POISON_FROM}

    async def claim(self, ids: Sequence[UUID], *, poison_candidates: bool = False) -> list[Claim]:
        """Claim those of the mails that are due and not claimed by others; lease them for `LEASE` seconds.

        Mails that may be what ended their workers are left out, unless `poison_candidates` is true.
        """
        await self._check()
        arguments = {**self._claiming, "ids": array(ids), "poison_candidates": poison_candidates}
        return await self._database.fetch(CLAIM, arguments, class_row(Claim))

    async def claim_waiting(self, most: int) -> list[Claim]:
        """Claim up to `most` of the mails that are queued longest, even if another worker has their message."""
        await self._check()
        arguments = {**self._claiming, "most": most}
        return await self._database.fetch(CLAIM_WAITING, arguments, class_row(Claim))

    async def _check(self) -> None:
        """Raise `Unavailable` if the database was restored: its mails may have gone out."""
        if self._guard:
            await self._guard.check()

    async def claim_bulk(self, most: int) -> list[Claim]:
        """Claim up to `most` mails of the bulk stream that are due, the longest due first."""
        await self._check()
        arguments = {**self._claiming, "most": most}
        return await self._database.fetch(CLAIM_BULK, arguments, class_row(Claim))

    async def poison_candidates(self, ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the mails that wait and may be what ended their workers."""
        arguments = {"ids": array(ids), "poison_from": POISON_FROM}
        rows: list[Any] = await self._database.fetch(POISON_CANDIDATES, arguments)
        return {row[0] for row in rows}

    async def hand_over(self, wishes: Sequence[HandingOver]) -> list[datetime | None]:
        """Record that these mails are about to be handed over.

        Returns the time for each, in order; None if the mail is no longer ours.
        """
        moved: dict[int, datetime] = dict(await self._database.fetch(HANDED, _wanted(wishes)))
        return [moved.get(place) for place in range(1, len(wishes) + 1)]

    async def record(self, endings: Sequence[AttemptEnding]) -> list[RecordedState | None]:
        """Record how attempts ended.

        Returns the state of each mail, in order; None if the fence refused the ending.
        """
        ended, _ = await self.record_and_hand_over(endings, ())
        return ended

    async def record_and_hand_over(
        self, endings: Sequence[AttemptEnding], wishes: Sequence[HandingOver]
    ) -> tuple[list[RecordedState | None], list[datetime | None]]:
        """Do both, in one commit if possible. Raises `Unavailable` only if no ending was recorded."""
        if not endings:
            return [], await self.hand_over(wishes)
        accepted = {ending.id for ending in endings if ending.decision.state is State.SENT}
        if len(accepted) < len(endings) or accepted.intersection(wish.id for wish in wishes):
            async with self._database.connection() as connection:
                ended = await record(connection, endings)
            try:
                return ended, await self.hand_over(wishes) if wishes else []
            except Unavailable:
                return ended, [None] * len(wishes)
        arguments = _accepted(endings) | _wanted(wishes)
        rows: list[Any] = await self._database.fetch(ACCEPT_AND_HAND_OVER, arguments)
        handed = {-row[0]: row[-1] for row in rows if row[0] < 0}
        ended = _in_order(endings, [row for row in rows if row[0] > 0])
        return ended, [handed.get(place) for place in range(1, len(wishes) + 1)]

    async def renew(self, held: Sequence[tuple[UUID, int]]) -> None:
        """Renew the leases of these mails, each named by id and attempt."""
        arguments = {
            "ids": [mail_id for mail_id, _ in held],
            "attempts": [attempt for _, attempt in held],
            "lease": timedelta(seconds=LEASE),
        }
        await self._database.fetch(RENEW, arguments)

    async def defer(
        self, ids: Sequence[UUID], result: DeliveryResult, since: datetime, wait: float
    ) -> list[RecordedState]:
        """Let these mails wait `wait` seconds without an attempt: the mail server cannot be used `since` then.

        Returns the states of those that could be put off.
        """
        arguments = {
            "ids": list(ids),
            "reason": result.reason,
            "since": since,
            "code": result.code,
            "enhanced": result.enhanced,
            "answer": result.text,
            "wait": timedelta(seconds=wait),
        }
        return await self._database.fetch(DEFER, arguments, class_row(RecordedState))

    async def defer_paused(self, ids: Sequence[UUID]) -> list[RecordedState]:
        """Put off those of the mails that an operator holds back; return their states."""
        return await self._database.fetch(DEFER_PAUSED, {"ids": array(ids)}, class_row(RecordedState))

    async def release(self, reasons: Sequence[str]) -> None:
        """Make due the mails that wait for one of these reasons; the sweep publishes them."""
        await self._database.fetch(RELEASE, {"reasons": list(reasons)})


async def record(
    connection: AsyncConnection[tuple[object, ...]], endings: Sequence[AttemptEnding]
) -> list[RecordedState | None]:
    """Like `Ledger.record`, in the caller's transaction."""
    arguments = _ended(endings)
    await connection.execute(LOCK, arguments)
    return _in_order(endings, await (await connection.execute(RECORD, arguments)).fetchall())


def _wanted(wishes: Sequence[HandingOver]) -> dict[str, Any]:
    return {
        "wanted": array(wish.id for wish in wishes),
        "wanted_attempts": array(wish.attempt for wish in wishes),
        "wanted_connected": array_of_times(wish.connected_at for wish in wishes),
        "wanted_servers": array_of_words(wish.server for wish in wishes),
    }


def _accepted(endings: Sequence[AttemptEnding]) -> dict[str, Any]:
    return {
        "ids": array(ending.id for ending in endings),
        "attempts": array(ending.attempt for ending in endings),
        "codes": array(ending.result.code for ending in endings),
        "enhanced": array_of_words(ending.result.enhanced for ending in endings),
        "answers": array_of_words(ending.result.text for ending in endings),
    }


def _ended(endings: Sequence[AttemptEnding]) -> dict[str, Any]:
    return _accepted(endings) | {
        "states": array_of_words(ending.decision.state for ending in endings),
        "reasons": array_of_words(ending.decision.reason for ending in endings),
        "retry_in": array(ending.decision.retry_in for ending in endings),
        "since": array_of_times(ending.since for ending in endings),
        "crashed": array(ending.crashed for ending in endings),
        "connected": array_of_times(ending.connected_at for ending in endings),
        "servers": array_of_words(ending.server for ending in endings),
    }


def _in_order(endings: Sequence[AttemptEnding], rows: Sequence[Any]) -> list[RecordedState | None]:
    """Return each ending's state. For two endings of one mail, the statement may return only one row."""
    moved = {endings[row[0] - 1].id: row[1:] for row in rows}
    return [RecordedState(ending.id, *moved[ending.id]) if ending.id in moved else None for ending in endings]
