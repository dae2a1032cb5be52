"""After a restore: what may have gone out since the backup is marked as uncertain, by kind, in one transaction."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import InsufficientPrivilege
from psycopg.rows import class_row

from mailroom.kit.database import Database
from mailroom.kit.errors import MailroomError
from mailroom.mail.ledger.claims import AttemptEnding, record
from mailroom.mail.ledger.identity import CLUSTER, NO_CLUSTER, STAMP, statement
from mailroom.mail.ledger.queries import UNCERTAIN_BEFORE
from mailroom.mail.retry_policy import DeliveryResult, decide
from mailroom.mail.states import Reason, Stage

AT_ONCE = 1000
"""Mails in one statement."""

WORKERS = """
select count(*) from pg_stat_activity
where datname = current_database() and application_name = 'mailroom worker' and pid <> pg_backend_pid()
"""
# The last heartbeat tells how new the data are: if `--from` is earlier than that, it is wrong.
NEWEST = "select greatest(%(since)s, (select heartbeat_at from database_identity where id = 1))"
# A mail that waited in the backup may have had one more attempt since. That attempt is added here, as one that was
# handing over, so that its uncertain end has a row of its own and a second copy can be explained.
TAKE = f"""
with chosen as materialized (
    select id from mails
    where (nudge_at is not null or state = 'sending') and created_at <= %(until)s and reason is distinct from
        'restored' and (state in ('queued', 'retrying', 'sending', 'uncertain')
            or (state = 'scheduled' and coalesce(next_attempt_at <= clock_timestamp(), true)))
    order by id limit %(most)s for update
)
update mails set attempt = attempt + case when state = 'sending' then 0 else 1 end,
    worker = case when state = 'sending' then worker else 'unknown, before the restore' end,
    claimed_at = case when state = 'sending' then claimed_at else %(since)s end,
    server = case when state = 'sending' then server end,
    connected_at = case when state = 'sending' then connected_at end,
    handing_over_at = case when state = 'sending' then handing_over_at end,
    state = 'sending', stage = 'handing over', step = step + 1, lease_until = null
from chosen where mails.id = chosen.id
returning mails.id, kind, attempt, on_uncertain, {UNCERTAIN_BEFORE} as uncertain,
    clock_timestamp() - created_at as age, expires_at - clock_timestamp() as expires_in
"""  # noqa: S608  # only our own constants


class WorkersRunning(MailroomError):
    """Workers are connected to this database. Stop all of them first, then run this again."""

    message_code = "mail.error.workers_running"


class Taken(NamedTuple):
    """A mail that may have gone out since the backup."""

    id: UUID
    kind: str
    attempt: int
    on_uncertain: str
    uncertain: int
    age: timedelta
    expires_in: timedelta

    def ending(self) -> AttemptEnding:
        """Return what becomes of it by its kind's policy: sent again, marked, or left to a person."""
        result = DeliveryResult(Reason.RESTORED)
        decision = decide(
            Stage.HANDING_OVER,
            result,
            age=self.age,
            expires_in=self.expires_in,
            uncertain=self.uncertain,
            on_uncertain=self.on_uncertain,
        )
        return AttemptEnding(self.id, self.attempt, decision, result)


class Marked(NamedTuple):
    """How many mails were marked, by kind: those that are sent again, and those that wait for a person."""

    resent: Counter[str]
    held: Counter[str]


async def mark_restored(database: Database, since: datetime) -> Marked:
    """Mark what may have gone out since the backup of `since`, and let workers start.

    All of it is one transaction. Raises `WorkersRunning`, `Unavailable`.
    """
    marked = Marked(Counter(), Counter())
    async with database.connection() as connection:
        await _refuse_workers(connection)
        until = (await _rows(connection, NEWEST, {"since": since}))[0][0]
        while taken := await _take(connection, since, until):
            endings = [mail.ending() for mail in taken]
            await record(connection, endings)
            for mail, ending in zip(taken, endings, strict=True):
                (marked.held if ending.decision.retry_in is None else marked.resent)[mail.kind] += 1
        await stamp(connection)
    return marked


async def adopt(database: Database) -> None:
    """Accept this database as it is and mark nothing. Raises `WorkersRunning`, `Unavailable`."""
    async with database.connection() as connection:
        await _refuse_workers(connection)
        await stamp(connection)


async def stamp(connection: AsyncConnection[Any]) -> None:
    """Write the identity of this database into it, in the caller's transaction."""
    allowed = await _rows(connection, "select has_function_privilege('pg_control_system()', 'execute')", {})
    try:
        await connection.execute(statement(STAMP, CLUSTER if allowed[0][0] else NO_CLUSTER))
    except InsufficientPrivilege as error:  # pragma: no cover  # the same was allowed a moment ago
        raise MailroomError("The database's user may not write the table database_identity.") from error


async def _refuse_workers(connection: AsyncConnection[Any]) -> None:
    if (await _rows(connection, WORKERS, {}))[0][0]:
        raise WorkersRunning


async def _take(connection: AsyncConnection[Any], since: datetime, until: datetime) -> Sequence[Taken]:
    async with connection.cursor(row_factory=class_row(Taken)) as cursor:
        await cursor.execute(TAKE, {"since": since, "until": until, "most": AT_ONCE})
        return await cursor.fetchall()


async def _rows(connection: AsyncConnection[Any], query: str, values: dict[str, Any]) -> list[Any]:
    return await (await connection.execute(query, values)).fetchall()
