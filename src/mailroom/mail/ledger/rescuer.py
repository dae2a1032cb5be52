"""The sweep: it finds mails whose worker is gone, mails that are too old, and mails whose message got lost.

A sweep is one transaction under an advisory lock, so that one process sweeps at a time. PostgreSQL ends the
transaction of a process that freezes during its sweep, and another process takes over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from mailroom.kit.database import Database
from mailroom.mail.ending_log import log_ending
from mailroom.mail.ledger.claims import AttemptEnding, RecordedState, record
from mailroom.mail.ledger.identity import RestoreGuard
from mailroom.mail.ledger.liveness import MARK
from mailroom.mail.ledger.queries import BULK_GOES, UNCERTAIN_BEFORE
from mailroom.mail.retry_policy import Decision, DeliveryResult, decide
from mailroom.mail.states import FINAL, Reason, Stage, State
from mailroom.statistics import names
from mailroom.statistics.counters import Counters

SweepConnection = AsyncConnection[tuple[object, ...]]

MOST = 500
"""Mails that one sweep settles, expires or publishes at most. More in the queue would not be sent sooner."""
LOCK = 0x6D61696C  # "mail"
FROZEN_AFTER = 5000
"""Milliseconds that a sweep may be idle in its transaction before PostgreSQL ends it."""
IN_THE_ORDER_OF_AN_INDEX = "set local enable_bitmapscan = off; set local enable_seqscan = off"
"""Each statement takes the first few of many. Without statistics, PostgreSQL would read all of them."""
BROKEN_AFTER = timedelta(seconds=5)
"""A longer pause between two sweeps means that PostgreSQL or this process was away."""
GRACE = timedelta(seconds=4)
"""Time after such a pause in which no worker loses its mails, so that live workers can renew their leases."""
ABSENT_FOR = timedelta(seconds=3)
"""Time without its advisory lock after which a worker counts as gone. A live worker takes the lock again within a
second."""

ABSENT = """
select worker from (
    select distinct worker from mails
    where state = 'sending' and worker like %(marked)s
) as sending
where not exists (
    select from pg_locks
    where locktype = 'advisory' and objsubid = 1 and granted
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32 | objid::bigint) = hashtextextended(sending.worker, 0)
)
"""

# The last condition: if this statement was held up (PostgreSQL was frozen, say), so were the renewals.
ABANDONED = f"""
select id, attempt, stage, crashes, on_uncertain, {UNCERTAIN_BEFORE} as uncertain,
    now() - created_at as age, expires_at - now() as expires_in
from mails
where state = 'sending' and (lease_until <= clock_timestamp() or worker = any(%(gone)s))
    and clock_timestamp() < %(began)s + interval '2 s'
order by id limit %(most)s for update skip locked
"""  # noqa: S608  # only our own constants

# `now()` is the beginning of the sweep: one value, which an index can look up. `clock_timestamp()` is not.
# `is true` keeps PostgreSQL from using the index on `state`, with which it would read all of a new mailing.
EXPIRE = """
with old as materialized (
    select id from mails
    where (state in ('queued', 'retrying', 'uncertain', 'scheduled')) is true and nudge_at is not null
        and expires_at <= now()
    order by expires_at limit %(most)s for update skip locked
), expired as (
    update mails set state = 'expired', reason = coalesce(reason, 'expired'), stage = null, step = step + 1,
        nudge_at = null, next_attempt_at = null, ended_at = clock_timestamp(), changed_at = clock_timestamp()
    from old where mails.id = old.id
    returning mails.id, kind, reason, code, enhanced, attempt, message_id
), noted as (
    insert into mail_events (mail_id, type, attempt)
    select id, 'failed', attempt from expired where message_id is not null
)
select id, kind, reason, code, enhanced from expired
"""


def _backoff(nudges: str) -> str:
    return f"make_interval(secs => least(10 * power(2, least({nudges}, 6)), 300))"


# A row was last published one backoff before its `nudge_at`. If the queue is empty, its message is not waiting
# there, and three seconds are enough. Otherwise the backoff keeps sweeps from filling a full queue further.
# The condition on `created_at` lets an index leave out the many mails that were put just now.
PUBLISH = f"""
with due as materialized (
    select id from mails
    where stream = 'transactional' and state in ('queued', 'retrying', 'uncertain', 'scheduled')
        and nudge_at <= now() and coalesce(next_attempt_at <= now(), true)
    order by nudge_at limit %(most)s for update skip locked
), early as materialized (
    select id from mails
    where %(queue_empty)s and stream = 'transactional' and state = 'queued' and nudge_at > now()
        and nudge_at - {_backoff("nudges")} + interval '3 s' <= now() and created_at <= now() - interval '3 s'
    order by created_at limit %(most)s for update skip locked
)
update mails set nudges = least(nudges + 1, 100), nudge_at = clock_timestamp() + {_backoff("nudges + 1")}
from (select id from due union all select id from early) as chosen where mails.id = chosen.id
returning mails.id
"""  # noqa: S608

BULK_IS_DUE = f"""
select exists (
    select from mails
    where stream = 'bulk' and nudge_at <= now() and state in ('queued', 'retrying', 'uncertain', 'scheduled')
        and {BULK_GOES}
)
"""  # noqa: S608  # only our own constants

# Whatever the mails' reasons: nothing can be sent now, and each sweep would read again the mails that stay due.
WAIT_ON = """
with due as materialized (
    select id from mails
    where stream = 'transactional' and state = 'retrying' and nudge_at <= now()
    order by nudge_at limit %(most)s for update skip locked
), bulk as materialized (
    select id from mails
    where stream = 'bulk' and state = 'retrying' and nudge_at <= now()
    order by nudge_at limit %(most)s for update skip locked
)
update mails set next_attempt_at = clock_timestamp() + %(wait)s, nudge_at = clock_timestamp() + %(wait)s,
    step = step + 1
from (select id from due union all select id from bulk) as chosen where mails.id = chosen.id
"""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A mail in an attempt whose worker is gone or whose lease ran out."""

    id: UUID
    attempt: int
    stage: str | None
    crashes: int
    on_uncertain: str
    uncertain: int
    age: timedelta
    expires_in: timedelta

    def ending(self) -> AttemptEnding:
        """Return how the attempt ended; it counts as a crash."""
        result = DeliveryResult(Reason.WORKER_LOST)
        stage = Stage.HANDING_OVER if self.stage == Stage.HANDING_OVER else Stage.CLAIMED
        decision = decide(
            stage,
            result,
            age=self.age,
            expires_in=self.expires_in,
            crashes=self.crashes + 1,
            uncertain=self.uncertain,
            on_uncertain=self.on_uncertain,
        )
        return AttemptEnding(self.id, self.attempt, decision, result, crashed=True)


class Rescuer:
    """Sweeps for one process. It remembers which workers were absent, and since when."""

    def __init__(
        self,
        database: Database,
        *,
        grace: timedelta = GRACE,
        guard: RestoreGuard | None = None,
        counters: Counters | None = None,
    ) -> None:
        self._database = database
        self._counters = counters or Counters()
        self._guard = guard
        self._grace = grace
        self._last: datetime | None = None
        self._unbroken_since: datetime | None = None
        self._absent_since: dict[str, datetime] = {}

    async def sweep(self, *, queue_empty: bool, put_off: float = 0) -> list[UUID]:
        """Settle mails whose worker is gone, expire old ones; return the ids of mails to publish again.

        `queue_empty`: no message waits in the queue. `put_off` is positive in a process that knows the mail server
        to be away: due mails are put off by so many seconds, and nothing is returned. Nothing is returned, either,
        if another process sweeps at this moment. Raises `Unavailable`, also if the database was restored.
        """
        if self._guard:
            await self._guard.check()
        async with self._database.connection() as connection:
            await connection.execute(
                f"set local idle_in_transaction_session_timeout = {FROZEN_AFTER}; {IN_THE_ORDER_OF_AN_INDEX}"
            )
            mine = await _one(connection, "select pg_try_advisory_xact_lock(%s)", (LOCK,))
            began: datetime = await _one(connection, "select clock_timestamp()")
            gone = await self._gone(connection, began)  # each process keeps its own record of absences
            if not mine:
                return []
            if gone is not None:
                await self._settle(connection, began, gone)
            await self._expire(connection)
            if put_off:
                await connection.execute(WAIT_ON, {"wait": timedelta(seconds=put_off), "most": MOST})
                return []
            rows: list[Any] = await (
                await connection.execute(PUBLISH, {"queue_empty": queue_empty, "most": MOST})
            ).fetchall()
        return [row[0] for row in rows]

    async def _expire(self, connection: SweepConnection) -> None:
        cursor = await connection.execute(EXPIRE, {"most": MOST})
        expired: list[Any] = await cursor.fetchall()
        for mail_id, kind, reason, code, enhanced in expired:
            self._counters.add(names.ENDED, State.EXPIRED)
            log_ending(mail_id, kind, Decision(State.EXPIRED, reason), DeliveryResult(reason, code, enhanced))

    async def bulk_is_due(self) -> bool:
        """Tell whether a mail of the bulk stream is due: such mails are not published, a worker claims them."""
        rows: list[Any] = await self._database.fetch(BULK_IS_DUE, {})
        return bool(rows[0][0])

    async def _gone(self, connection: SweepConnection, now: datetime) -> list[str] | None:
        """Return the workers that have been absent for `ABSENT_FOR`; None if it is too early to say.

        A pause between sweeps means that PostgreSQL or this process was away. The workers may have been cut off as
        well; they get time to renew their leases and to take their advisory locks again.
        """
        if self._last is None or self._unbroken_since is None or now - self._last > BROKEN_AFTER:
            self._unbroken_since = now
            self._absent_since = {}
        self._last = now
        cursor = await connection.execute(ABSENT, {"marked": f"%{MARK}%"})
        absent = [str(row[0]) for row in await cursor.fetchall()]
        self._absent_since = {worker: self._absent_since.get(worker, now) for worker in absent}
        if now - self._unbroken_since < self._grace:
            return None
        return [worker for worker, since in self._absent_since.items() if now - since >= ABSENT_FOR]

    async def _settle(self, connection: SweepConnection, began: datetime, gone: Sequence[str]) -> None:
        async with connection.cursor(row_factory=class_row(Abandoned)) as cursor:
            await cursor.execute(ABANDONED, {"most": MOST, "began": began, "gone": list(gone)})
            over = await cursor.fetchall()
        endings = [row.ending() for row in over]
        if endings:
            self._count(endings, await record(connection, endings))
        for ending in endings:
            log_ending(ending.id, None, ending.decision, ending.result)

    def _count(self, endings: Sequence[AttemptEnding], recorded: Sequence[RecordedState | None]) -> None:
        for ending, now in zip(endings, recorded, strict=True):
            if now is None:
                continue
            held = ending.decision.state is State.UNCERTAIN and ending.decision.retry_in is None
            outcome = names.HELD if held else now.state
            self._counters.add(names.ATTEMPTS, outcome)
            if held or now.state in FINAL:
                self._counters.add(names.ENDED, outcome)


async def _one(connection: SweepConnection, query: str, values: tuple[Any, ...] = ()) -> Any:
    row = await (await connection.execute(query, values)).fetchone()
    return row[0] if row else None
