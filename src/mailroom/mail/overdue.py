"""The sweep's statements: leases that ran out, mails too old, and rows whose message got lost.

One transaction under an advisory lock, so that one process sweeps at a time. A sweeper that freezes in
mid-sweep is cut off by PostgreSQL and another takes over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from mailroom.kit.database import Database
from mailroom.mail.decide import Answer, decide
from mailroom.mail.ledger import Ending, record
from mailroom.mail.states import Reason, Stage

MOST = 500
"""Rows one sweep publishes at most; a longer queue gains nothing from more."""
LOCK = 0x6D61696C  # "mail"
FROZEN_AFTER = 5000
"""Milliseconds a sweep may stand still before PostgreSQL ends it."""

LEASES_OVER = """
select id, attempt, stage, crashes, now() - created_at as age, expires_at - now() as expires_in
from mails
where state = 'sending' and nudge_at <= clock_timestamp() and lease_until <= clock_timestamp()
order by id limit %(most)s for update skip locked
"""

EXPIRE = """
with old as materialized (
    select id from mails
    where state in ('queued', 'retrying', 'uncertain') and nudge_at is not null
        and expires_at <= clock_timestamp()
    order by id limit %(most)s for update skip locked
)
update mails set state = 'expired', reason = coalesce(reason, 'expired'), stage = null, step = step + 1,
    nudge_at = null, next_attempt_at = null, ended_at = clock_timestamp(), changed_at = clock_timestamp()
from old where mails.id = old.id
"""

# A row was last nudged one backoff before its next nudge. Where the queue is empty its message is not waiting
# there, so three seconds are enough; else the backoff keeps a full queue from being swept fuller.
PUBLISH = """
with due as materialized (
    select id, least(10 * power(2, least(nudges, 6)), 300) as backoff from mails
    where state in ('queued', 'retrying', 'uncertain') and nudge_at is not null
        and coalesce(next_attempt_at <= clock_timestamp(), true)
        and nudge_at <= clock_timestamp() + case when %(queue_empty)s and state = 'queued'
            then make_interval(secs => least(10 * power(2, least(nudges, 6)), 300) - 3) else interval '0' end
    order by nudge_at limit %(most)s for update skip locked
)
update mails set nudges = least(nudges + 1, 100),
    nudge_at = clock_timestamp() + make_interval(secs => least(10 * power(2, least(nudges + 1, 6)), 300))
from due where mails.id = due.id
returning mails.id
"""

WAIT_ON = """
with due as materialized (
    select id from mails
    where state = 'retrying' and reason = any(%(reasons)s) and nudge_at <= clock_timestamp()
    order by nudge_at limit %(most)s for update skip locked
)
update mails set next_attempt_at = clock_timestamp() + %(wait)s, nudge_at = clock_timestamp() + %(wait)s,
    step = step + 1
from due where mails.id = due.id
"""

DROP_BODIES = """
update mails set params = null, nonce = null
where ended_at < now() - %(age)s  -- said twice: a person may be sending it again at this moment
    and id in (select id from mails where params is not null and ended_at < now() - %(age)s limit %(most)s)
"""


@dataclass(frozen=True, slots=True)
class LeaseOver:
    """A mail whose worker has not been heard of."""

    id: UUID
    attempt: int
    stage: str | None
    crashes: int
    age: timedelta
    expires_in: timedelta

    def ending(self) -> Ending:
        """Return what becomes of it; its crash counts."""
        answer = Answer(Reason.WORKER_LOST)
        stage = Stage.HANDING_OVER if self.stage == Stage.HANDING_OVER else Stage.CLAIMED
        decision = decide(stage, answer, age=self.age, expires_in=self.expires_in, crashes=self.crashes + 1)
        return Ending(self.id, self.attempt, decision, answer, crashed=True)


class Overdue:
    """Finds what fell between row and queue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sweep(self, *, queue_empty: bool, waiting_for: Sequence[str] = (), wait: float = 0) -> list[UUID]:
        """Settle leases that ran out and mails too old; return the mails whose message is to be sent again.

        `waiting_for` are reasons (of `mail/states.py`) this process knows to hold still: rows that wait for
        them are put off by `wait` seconds instead. Returns nothing where another process sweeps.
        """
        async with self._database.connection() as connection:
            await connection.execute(f"set local idle_in_transaction_session_timeout = {FROZEN_AFTER}")
            if not await _one(connection, "select pg_try_advisory_xact_lock(%s)", (LOCK,)):
                return []
            await self._settle(connection)
            await connection.execute(EXPIRE, {"most": MOST})
            if waiting_for:
                holding = {"reasons": list(waiting_for), "wait": timedelta(seconds=wait), "most": MOST}
                await connection.execute(WAIT_ON, holding)
                return []
            rows: list[Any] = await (
                await connection.execute(PUBLISH, {"queue_empty": queue_empty, "most": MOST})
            ).fetchall()
        return [row[0] for row in rows]

    async def _settle(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        async with connection.cursor(row_factory=class_row(LeaseOver)) as cursor:
            await cursor.execute(LEASES_OVER, {"most": MOST})
            over = await cursor.fetchall()
        if over:
            await record(connection, [row.ending() for row in over])

    async def drop_bodies(self, *, days: int) -> None:
        """Forget what mails were about `days` days after their end."""
        async with self._database.connection() as connection:
            await connection.execute(DROP_BODIES, {"age": timedelta(days=days), "most": 10 * MOST})


async def _one(connection: AsyncConnection[tuple[object, ...]], query: str, values: tuple[Any, ...]) -> object:
    row = await (await connection.execute(query, values)).fetchone()
    return row[0] if row else None
