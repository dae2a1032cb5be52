"""The hot statements over the outbox, each for many mails at once, in plain psycopg.

Every write is fenced: it holds only where the row is still in the attempt the writer claimed. Time is
PostgreSQL's (`clock_timestamp()`), never a worker's. Rows are locked in the order of their ids, so that two
processes cannot wait for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from mailroom.kit.arrays import array, array_of_times, array_of_words
from mailroom.kit.database import Database
from mailroom.mail.decide import SUSPECT_FROM, Answer, Decision
from mailroom.mail.interfaces import MailRow
from mailroom.mail.states import State

LEASE = 30
"""Seconds a worker holds a mail without saying that it still does."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A mail this process may send, and the fence under which it may."""

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

    @property
    def row(self) -> MailRow:
        """What a kind may know of it."""
        return MailRow(self.id, self.kind, self.recipient, self.params, self.nonce, self.created_at)


@dataclass(frozen=True, slots=True)
class HandingOver:
    """The wish to hand a mail over now; `connected_at` by PostgreSQL's clock."""

    id: UUID
    attempt: int
    connected_at: datetime
    server: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, and what was decided."""

    id: UUID
    attempt: int
    decision: Decision
    answer: Answer
    connected_at: datetime | None = None
    server: str | None = None
    since: datetime | None = None
    crashed: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """Where a mail is after its ending was recorded; nothing where the fence held."""

    id: UUID
    attempt: int
    step: int
    state: str
    next_attempt_at: datetime | None
    reason_since: datetime | None
    changed_at: datetime


CLAIM = """
with mine as materialized (
    select id from mails
    where id = any(%(ids)s::uuid[]) and expires_at > clock_timestamp()
        and (%(suspects)s or crashes < %(suspect)s) and (
        state = 'queued'
        or (state = 'retrying' and next_attempt_at <= clock_timestamp())
        or (state = 'uncertain' and nudge_at is not null)
    )
    order by id for update skip locked
), claimed as (
    update mails set
        state = 'sending', stage = 'claimed', attempt = attempt + 1, step = 1, nudges = 0,
        lease_until = clock_timestamp() + %(lease)s, nudge_at = clock_timestamp() + %(lease)s,
        next_attempt_at = null, reason = null, reason_since = null, code = null, enhanced = null, answer = null,
        changed_at = clock_timestamp()
    from mine where mails.id = mine.id
    returning mails.id, kind, recipient, coalesce(params, '{}') as params, coalesce(nonce, '') as nonce,
        created_at, expires_at, changed_at as claimed_at, attempt, crashes, on_uncertain
), noted as (
    insert into attempts (mail_id, attempt, worker, claimed_at)
    select id, attempt, %(worker)s, claimed_at from claimed
)
select * from claimed
"""

SUSPECTS = """
select id from mails
where id = any(%(ids)s::uuid[]) and crashes >= %(suspect)s and state in ('queued', 'retrying', 'uncertain')
"""

HAND_OVER = """
with locked as materialized (
    select id, attempt, state, stage, lease_until from mails where id = any(%(ids)s::uuid[])
    order by id for update
), held as materialized (
    select wish.*
    from unnest(%(ids)s::uuid[], %(attempts)s::int[], %(connected)s::timestamptz[], %(servers)s::text[])
        with ordinality as wish (id, attempt, connected_at, server, place)
    join locked on locked.id = wish.id
    where locked.attempt = wish.attempt and locked.state = 'sending' and locked.stage = 'claimed'
        and locked.lease_until > clock_timestamp()
), moved as (
    update mails set stage = 'handing over', step = 3, changed_at = clock_timestamp()
    from held where mails.id = held.id
    returning held.place, mails.changed_at
), noted as (
    update attempts set connected_at = held.connected_at, handing_over_at = clock_timestamp(), server = held.server
    from held where attempts.mail_id = held.id and attempts.attempt = held.attempt
)
select place, changed_at from moved
"""

# An acceptance that comes late is the truth all the same, unless the next attempt is just being handed over
# (its own ending follows, and cannot undo the acceptance). Everything else holds only for the attempt that is
# the row's.
# `connected` (step 2) is only ever reported: an ending comes after it, also where the row never got there.
# An attempt that was uncertain stays marked so, also where its acceptance came late: the mail may be there twice.
# Two attempts may end at the same moment in two processes. Both lock the mail's row, so that one comes after the
# other; and LOCK goes before what reads the attempts, whose snapshot would else be older than the lock.
LOCK = "select id from mails where id = any(%(ids)s::uuid[]) order by id for update"
RECORD = """
with said as (
    select * from unnest(
        %(ids)s::uuid[], %(attempts)s::int[], %(states)s::text[], %(reasons)s::text[], %(retry_in)s::float8[],
        %(codes)s::int[], %(enhanced)s::text[], %(answers)s::text[], %(since)s::timestamptz[],
        %(crashed)s::bool[], %(connected)s::timestamptz[], %(servers)s::text[]
    ) with ordinality as wish (
        id, attempt, state, reason, retry_in, code, enhanced, answer, since, crashed, connected_at, server, place
    )
), locked as materialized (
    select id, state, stage, attempt, on_uncertain from mails where id in (select id from said)
    order by id for update
), taken as materialized (
    select id from said where state = 'sent'
    union select mail_id from attempts where mail_id in (select id from said where state <> 'sent')
        and outcome = 'sent'
), wish as (
    select * from said where state = 'sent' or id not in (select id from taken)
    union all
    select id, attempt, 'sent', null, null, null, null, null, null, crashed, connected_at, server, place
    from said where state <> 'sent' and id in (select id from taken)
), held as materialized (
    select wish.*, locked.on_uncertain from wish join locked on locked.id = wish.id
    where (locked.attempt = wish.attempt and locked.state = 'sending')
        or (wish.state = 'sent' and locked.state <> 'sent'
            and not (locked.state = 'sending' and locked.stage = 'handing over' and locked.attempt > wish.attempt))
), moved as (
    update mails set
        state = held.state, step = greatest(step, 2) + 1, lease_until = null, changed_at = clock_timestamp(),
        stage = case when held.state = 'sent' then 'accepted' when held.state = 'uncertain' then stage end,
        reason = held.reason, code = held.code, enhanced = held.enhanced, answer = held.answer,
        reason_since = held.since, crashes = crashes + held.crashed::int, nudges = 0,
        next_attempt_at = clock_timestamp() + make_interval(secs => held.retry_in),
        nudge_at = case
            when held.state = 'queued' then clock_timestamp()
            when held.state = 'retrying' then clock_timestamp() + make_interval(secs => held.retry_in)
            when held.state = 'uncertain' and held.on_uncertain = 'resend' then clock_timestamp()
        end,
        ended_at = case when held.state in ('sent', 'failed', 'expired') then clock_timestamp() end
    from held where mails.id = held.id
    returning held.place, mails.attempt, mails.step, mails.state, next_attempt_at, reason_since, changed_at
), noted as (
    update attempts set ended_at = clock_timestamp(), outcome = said.state, reason = said.reason,
        code = said.code, enhanced = said.enhanced, answer = said.answer,
        connected_at = coalesce(attempts.connected_at, said.connected_at),
        server = coalesce(attempts.server, said.server),
        uncertain_at = case when said.state = 'uncertain' then clock_timestamp() else attempts.uncertain_at end
    from said where attempts.mail_id = said.id and attempts.attempt = said.attempt
)
select * from moved
"""

RENEW = """
with held as materialized (
    select mails.id from unnest(%(ids)s::uuid[], %(attempts)s::int[]) as wish (id, attempt)
    join mails on mails.id = wish.id
    where mails.attempt = wish.attempt and mails.state = 'sending'
    order by mails.id for update of mails skip locked
)
update mails set lease_until = clock_timestamp() + %(lease)s, nudge_at = clock_timestamp() + %(lease)s
from held where mails.id = held.id
"""

DEFER = """
with held as materialized (
    select id from mails
    where id = any(%(ids)s) and (state = 'queued' or (state = 'retrying' and next_attempt_at <= clock_timestamp()))
    order by id for update skip locked
)
update mails set
    state = 'retrying', stage = null, step = step + 1, reason = %(reason)s, reason_since = %(since)s,
    code = %(code)s, enhanced = %(enhanced)s, answer = %(answer)s, changed_at = clock_timestamp(), nudges = 0,
    next_attempt_at = clock_timestamp() + %(wait)s, nudge_at = clock_timestamp() + %(wait)s
from held where mails.id = held.id
returning mails.id, mails.attempt, mails.step, mails.state, next_attempt_at, reason_since, changed_at
"""

RELEASE = """
with held as materialized (
    select id from mails
    where state = 'retrying' and reason = any(%(reasons)s) and next_attempt_at > clock_timestamp()
    order by id for update skip locked
)
update mails set next_attempt_at = clock_timestamp(), nudge_at = clock_timestamp(), step = step + 1
from held where mails.id = held.id
"""


class Ledger:
    """What a worker process writes about the mails it has."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker

    async def claim(self, ids: Sequence[UUID], *, suspects: bool = False) -> list[Claim]:
        """Take those of the mails that may be sent now and that nobody else has; lease them for `LEASE` s.

        A mail that may be what ended its workers is only taken where `suspects` is true.
        """
        arguments = {
            "ids": array(ids),
            "lease": timedelta(seconds=LEASE),
            "worker": self._worker,
            "suspects": suspects,
            "suspect": SUSPECT_FROM,
        }
        return await self._database.fetch(CLAIM, arguments, class_row(Claim))

    async def suspects(self, ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the mails that wait and may be what ended their workers."""
        arguments = {"ids": array(ids), "suspect": SUSPECT_FROM}
        rows: list[Any] = await self._database.fetch(SUSPECTS, arguments)
        return {row[0] for row in rows}

    async def hand_over(self, wishes: Sequence[HandingOver]) -> list[datetime | None]:
        """Record that these are about to be handed over; for each, when, or None where it is no longer ours."""
        arguments = {
            "ids": array(wish.id for wish in wishes),
            "attempts": array(wish.attempt for wish in wishes),
            "connected": array_of_times(wish.connected_at for wish in wishes),
            "servers": array_of_words(wish.server for wish in wishes),
        }
        moved: dict[int, datetime] = dict(await self._database.fetch(HAND_OVER, arguments))
        return [moved.get(place) for place in range(1, len(wishes) + 1)]

    async def record(self, endings: Sequence[Ending]) -> list[Ended | None]:
        """Record how attempts ended; for each, where its mail is now, or None where the fence held."""
        if all(ending.decision.state is State.SENT for ending in endings):
            return _in_order(endings, await self._database.fetch(RECORD, _told(endings)))
        async with self._database.connection() as connection:
            return await record(connection, endings)

    async def renew(self, held: Sequence[tuple[UUID, int]]) -> None:
        """Say that this process still has these mails (id and attempt)."""
        arguments = {
            "ids": [mail_id for mail_id, _ in held],
            "attempts": [attempt for _, attempt in held],
            "lease": timedelta(seconds=LEASE),
        }
        await self._database.fetch(RENEW, arguments)

    async def defer(self, ids: Sequence[UUID], answer: Answer, since: datetime, wait: float) -> list[Ended]:
        """Let these wait `wait` seconds, without an attempt: the mail server cannot be used."""
        arguments = {
            "ids": list(ids),
            "reason": answer.reason,
            "since": since,
            "code": answer.code,
            "enhanced": answer.enhanced,
            "answer": answer.text,
            "wait": timedelta(seconds=wait),
        }
        return await self._database.fetch(DEFER, arguments, class_row(Ended))

    async def release(self, reasons: Sequence[str]) -> None:
        """Let the mails that wait for one of these reasons be tried now; the sweep picks them up."""
        await self._database.fetch(RELEASE, {"reasons": list(reasons)})


async def record(connection: AsyncConnection[tuple[object, ...]], endings: Sequence[Ending]) -> list[Ended | None]:
    """Like `Ledger.record`, in the caller's transaction."""
    arguments = _told(endings)
    if any(ending.decision.state is not State.SENT for ending in endings):
        await connection.execute(LOCK, arguments)
    return _in_order(endings, await (await connection.execute(RECORD, arguments)).fetchall())


def _told(endings: Sequence[Ending]) -> dict[str, Any]:
    return {
        "ids": array(ending.id for ending in endings),
        "attempts": array(ending.attempt for ending in endings),
        "states": array_of_words(ending.decision.state for ending in endings),
        "reasons": array_of_words(ending.decision.reason for ending in endings),
        "retry_in": array(ending.decision.retry_in for ending in endings),
        "codes": array(ending.answer.code for ending in endings),
        "enhanced": array_of_words(ending.answer.enhanced for ending in endings),
        "answers": array_of_words(ending.answer.text for ending in endings),
        "since": array_of_times(ending.since for ending in endings),
        "crashed": array(ending.crashed for ending in endings),
        "connected": array_of_times(ending.connected_at for ending in endings),
        "servers": array_of_words(ending.server for ending in endings),
    }


def _in_order(endings: Sequence[Ending], rows: Sequence[Any]) -> list[Ended | None]:
    """Return for each ending where its mail is; of two of one mail only one's place may come back."""
    moved = {endings[row[0] - 1].id: row[1:] for row in rows}
    return [Ended(ending.id, *moved[ending.id]) if ending.id in moved else None for ending in endings]
