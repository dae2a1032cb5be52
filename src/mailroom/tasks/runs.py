"""What workers write of tasks: who has begun which, that they still are at it, and how it ended.

One conditional UPDATE begins a run, so that a message delivered twice runs once; it sets a lease that the
worker's process renews. Every later write names the attempt and holds only where the row is still in it.
Statements are plain psycopg's, at a fifth of the engine's cost.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from mailroom.kit.database import Database
from mailroom.progress.rate import ProgressRate
from mailroom.tasks.models import CHAIN
from mailroom.tasks.states import (
    ENDED,
    LOST,
    LOST_SENTENCE,
    NEVER_BEGUN,
    NEVER_BEGUN_SENTENCE,
    Ending,
    TaskState,
    Whole,
    together,
)

Connection = AsyncConnection[tuple[object, ...]]

LEASE = timedelta(seconds=60)
"""Time without a renewal after which a task's worker is taken for lost: longer than one is ever just busy."""
FIRST_NUDGE = timedelta(seconds=10)
"""Time after which a queued task is taken for one whose message was lost; doubles up to five minutes."""
MOST = 100
"""Rows one sweep takes at most."""
MOST_NUDGES = 580
"""Times a task is published without any worker beginning it: two days of five minutes."""
LEAP = 1_000_000
"""Steps a row goes ahead where nobody knows how many its lost worker has reported: the end comes after them."""
LOCK = 0x7461736B  # "task"

BEGIN = """
update tasks set state = 'running', attempt = attempt + 1, step = 1, lease_until = now() + %(lease)s,
    nudge_at = null, nudges = 0, cancellable = %(cancellable)s, began_at = now(), ended_at = null, retry_at = null,
    stage = null, message = null, current = null, total = null, reason = null, error = null, traceback = null
where id = %(id)s and (state in ('queued', 'retrying') or (state = 'running' and lease_until < now())
    or (%(again)s and state = 'failed' and reason = 'worker lost'))
returning id, attempt, part_of
"""
STATE = "select state from tasks where id = %s"
END = """
update tasks set state = %(state)s, step = greatest(step, %(step)s) + 1, lease_until = null, stage = %(stage)s,
    message = %(message)s, current = %(current)s, total = %(total)s, reason = %(reason)s, error = %(error)s,
    traceback = %(traceback)s, retry_at = %(retry_at)s, ended_at = case when %(ended)s then now() end,
    nudge_at = case when not %(ended)s then coalesce(%(retry_at)s, now()) + %(nudge)s end
where id = %(id)s and attempt = %(attempt)s
    and (state = 'running' or (state = 'failed' and reason = 'worker lost'))
returning place
"""
LOSE = """
update tasks set state = 'failed', step = step + %(leap)s, lease_until = null, nudge_at = null, ended_at = now(),
    reason = %(reason)s, error = %(error)s
where id = %(id)s and (lease_until < now() or nudges >= %(most_nudges)s)
returning place
"""
RENEW = """
update tasks set lease_until = now() + %(lease)s
from unnest(%(ids)s::uuid[], %(attempts)s::int[]) as held (id, attempt)
where tasks.id = held.id and tasks.attempt = held.attempt and state = 'running'
"""
ASKED = """
select tasks.id from unnest(%(ids)s::uuid[], %(attempts)s::int[]) as held (id, attempt)
join tasks on tasks.id = held.id and tasks.attempt = held.attempt where cancel_asked_at is not null
"""
OVER = """
select id, part_of, lease_until is not null as begun from tasks
where (lease_until < now() and state = 'running') or (nudge_at < now() and nudges >= %(most_nudges)s)
order by id limit %(most)s
"""
PUBLISH = """
update tasks set nudges = nudges + 1, nudge_at = now() + least(%(first)s * 2 ^ least(nudges, 10), interval '5 min')
where id in (select id from tasks where nudge_at < now() and nudges < %(most_nudges)s
    order by nudge_at limit %(most)s for update skip locked)
returning id, name, arguments
"""
WHOLE_OF = """
select whole.id from tasks join tasks whole on whole.id = tasks.part_of where tasks.id = %s for update of whole
"""
WHOLE = "select name from tasks where id = %s for update"
PARTS = """
select state, count(*), (array_agg(error order by place) filter (where error is not null))[1]
from tasks where part_of = %s group by state
"""
SETTLE = """
update tasks set state = %(state)s, step = step + 1, current = %(current)s, total = %(total)s, error = %(error)s,
    attempt = greatest(attempt, 1), began_at = coalesce(began_at, now()),
    ended_at = case when %(ended)s then now() end
where id = %(id)s
returning attempt, step, extract(epoch from now() - began_at)
"""
NEXT = """
update tasks set nudge_at = now() + %(first)s
where part_of = %(whole)s and state = 'queued' and place = %(place)s returning id, name, arguments
"""
DROP_REST = """
update tasks set state = 'cancelled', step = step + 1, nudge_at = null, ended_at = now()
where part_of = %s and state in ('queued', 'retrying')
"""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that is ours: the attempt it is, and the group or chain it counts in."""

    id: UUID
    attempt: int
    part_of: UUID | None


@dataclass(frozen=True, slots=True)
class Due:
    """A task whose message is to be published."""

    id: UUID
    name: str
    arguments: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be reported of a group or chain after one of its parts."""

    task: UUID
    whole: Whole
    attempt: int
    step: int
    rate: float | None = None
    eta: float | None = None


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows the end of a run, or a sweep: messages to publish, groups and chains to report of."""

    due: Sequence[Due] = ()
    told: Sequence[Told] = ()


@dataclass(frozen=True, slots=True)
class _Over:
    id: UUID
    part_of: UUID | None
    begun: bool


class TaskRuns:
    """The rows of tasks, in the hands of workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, task: UUID, *, cancellable: bool, again: bool) -> Begun | TaskState | None:
        """Begin a run; or return the state in which the task is not to be begun, None where there is none.

        `again` says that it may run once more where its worker was lost. Raises `Unavailable`.
        """
        values = {"id": task, "lease": LEASE, "cancellable": cancellable, "again": again}
        async with self._database.connection() as connection:
            await connection.execute(WHOLE_OF, [task])  # the whole before its part: all lock them in this order
            async with connection.cursor(row_factory=class_row(Begun)) as cursor:
                await cursor.execute(BEGIN, values)
                begun = await cursor.fetchone()
            if begun is None:
                row = await (await connection.execute(STATE, [task])).fetchone()
                return TaskState(str(row[0])) if row else None
            if begun.part_of:
                await settle(connection, begun.part_of)
        return begun

    async def end(self, begun: Begun, ending: Ending) -> Effects:
        """Record how a run ended, if it is still the task's newest. Raises `Unavailable`."""
        ended = ending.state in ENDED
        values = {**asdict(ending), "id": begun.id, "attempt": begun.attempt, "ended": ended, "nudge": FIRST_NUDGE}
        return await self._end(END, values, begun.part_of, ended=ended)

    async def renew(self, held: Sequence[Begun]) -> None:
        """Say that these still run. Raises `Unavailable`."""
        async with self._database.connection() as connection:
            await connection.execute(RENEW, {**_named(held), "lease": LEASE})

    async def asked_to_stop(self, held: Sequence[Begun]) -> set[UUID]:
        """Return those of these runs that somebody wants cancelled. Raises `Unavailable`."""
        async with self._database.connection() as connection:
            rows: list[Any] = await (await connection.execute(ASKED, _named(held))).fetchall()
        return {row[0] for row in rows}

    async def sweep(self) -> Effects:
        """Fail tasks whose worker was lost, and find those whose message was. Raises `Unavailable`.

        Finds nothing where another process sweeps.
        """
        async with self._database.connection() as connection:
            got = await (await connection.execute("select pg_try_advisory_xact_lock(%s)", (LOCK,))).fetchone()
            if not got or not got[0]:
                return Effects()
            limits = {"most": MOST, "most_nudges": MOST_NUDGES}
            async with connection.cursor(row_factory=class_row(_Over)) as cursor:
                await cursor.execute(OVER, limits)
                over = await cursor.fetchall()
            async with connection.cursor(row_factory=class_row(Due)) as dues:
                await dues.execute(PUBLISH, {**limits, "first": FIRST_NUDGE})
                due = await dues.fetchall()
        told: list[Told] = []
        for lost in over:
            reason, error = (LOST, LOST_SENTENCE) if lost.begun else (NEVER_BEGUN, NEVER_BEGUN_SENTENCE)
            values = {"id": lost.id, "reason": reason, "error": error, "most_nudges": MOST_NUDGES, "leap": LEAP}
            told += (await self._end(LOSE, values, lost.part_of, ended=True)).told
        return Effects(due, told)

    async def _end(self, statement: str, values: dict[str, Any], part_of: UUID | None, *, ended: bool) -> Effects:
        async with self._database.connection() as connection:
            whole = None
            if part_of:
                whole = await (await connection.execute(WHOLE, [part_of])).fetchone()
            row: Any = await (await connection.execute(statement, values)).fetchone()
            if row is None or part_of is None or whole is None:
                return Effects()
            due = await self._next(connection, part_of, row[0], values) if ended and whole[0] == CHAIN else ()
            return Effects(due, [await settle(connection, part_of)])

    async def _next(
        self, connection: Connection, chain: UUID, place: int, values: dict[str, Any]
    ) -> Sequence[Due]:
        """Let a chain's next part begin, or, where this one was not done, no part any more."""
        if values.get("state") != TaskState.DONE:
            await connection.execute(DROP_REST, [chain])
            return ()
        async with connection.cursor(row_factory=class_row(Due)) as cursor:
            await cursor.execute(NEXT, {"whole": chain, "place": place + 1, "first": FIRST_NUDGE})
            return await cursor.fetchall()


async def settle(connection: Connection, whole_id: UUID) -> Told:
    """Bring the row of a group or chain to what its parts say; locks it."""
    row: Any = await (await connection.execute(WHOLE, [whole_id])).fetchone()
    parts: list[Any] = await (await connection.execute(PARTS, [whole_id])).fetchall()
    errors = [error for state, _, error in parts if state == TaskState.FAILED and error]
    whole = together(row[0], {state: count for state, count, _ in parts}, first_error=next(iter(errors), None))
    ended = whole.state in ENDED
    values = {**asdict(whole), "id": whole_id, "ended": ended}
    settled: Any = await (await connection.execute(SETTLE, values)).fetchone()
    attempt, step, seconds = settled
    pace = ProgressRate()
    pace.add(0.0, 0.0, whole.total)
    pace.add(float(seconds), whole.current, whole.total)
    return Told(whole_id, whole, attempt, step, pace.rate, pace.eta)


def _named(held: Sequence[Begun]) -> dict[str, Any]:
    return {"ids": [run.id for run in held], "attempts": [run.attempt for run in held]}
