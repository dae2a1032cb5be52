"""What workers write of tasks: who runs which, that it still runs, and how it ended.

One conditional UPDATE begins a run, so that a message that is delivered twice runs once. It sets a lease that the
worker's process renews. Every later write names the attempt and counts only if the row is still in that attempt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from mailroom.kit.coalescer import Coalescer
from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.progress.sentence import to_columns
from mailroom.statistics import names
from mailroom.statistics.counters import Counters
from mailroom.tasks.models import CHAIN
from mailroom.tasks.parents import (
    REPUBLISH_AFTER,
    Connection,
    DueTask,
    ParentReport,
    cancel_rest,
    count_more,
    queue_next,
    update_parent,
)
from mailroom.tasks.queries import (
    BEGIN,
    BEGIN_ALONE,
    BEGIN_PARENT,
    CANCEL_REQUESTED,
    END,
    FAIL_LOST,
    FIND_LOST,
    LOCK_PARENT,
    RENEW,
    REPUBLISH,
    SAY_PAUSED,
    STATE,
    WAIT_AGAIN,
)
from mailroom.tasks.states import ENDED, LOST, NEVER_BEGUN, NO_WORKER_TOOK_IT, WORKER_LOST, Outcome, TaskState

LEASE = timedelta(seconds=60)
"""Time without a renewal after which a task's worker is taken for lost: no live worker is busy for so long."""
BUSY_GRACE = timedelta(seconds=50)
"""Time on top of `REPUBLISH_AFTER` while messages wait in the queue: most likely the task's is among them."""
SWEEP_LIMIT = 1_000
"""Rows one sweep takes at most."""
MAX_NUDGES = 580
"""Times a task is published before it fails because no worker began it: two days, at five minutes each."""
STEP_LEAP = 1_000_000
"""Steps that a row goes ahead if its worker was lost, so that the end comes after any steps it reported."""
SWEEP_LOCK = 0x7461736B  # "task"


@dataclass(frozen=True, slots=True)
class Run:
    """A run that this worker may do: the attempt, and the group or chain the task is a part of."""

    id: UUID
    attempt: int
    part_of: UUID | None


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows the end of a run, or a sweep: messages to publish, groups and chains to report."""

    due: Sequence[DueTask] = ()
    reports: Sequence[ParentReport] = ()


@dataclass(frozen=True, slots=True)
class _Lost:
    id: UUID
    part_of: UUID | None
    begun: bool


@dataclass(frozen=True, slots=True)
class _End:
    statement: str
    values: Mapping[str, Any]
    part_of: UUID
    state: TaskState


class TaskRuns:
    """The rows of tasks, as workers write them."""

    def __init__(self, database: Database, counters: Counters | None = None) -> None:
        self._database = database
        self._counters = counters or Counters()
        self._ends: Coalescer[_End, Effects | Exception] = Coalescer(self._end_all)

    async def begin(self, task: UUID, *, cancellable: bool, again: bool) -> Run | TaskState | None:
        """Begin a run; or return the state in which the task may not begin, None if there is no such task.

        `again`: the task may run once more after its worker was lost. Raises `Unavailable`.
        """
        values = {"id": task, "lease": LEASE, "cancellable": cancellable, "again": again}
        if not again and (begun := await self._database.fetch(BEGIN_ALONE, values, class_row(Run))):
            return begun[0]
        async with self._database.connection() as connection:
            parent = await self._lock_parent_of(connection, task) if again else None
            await connection.execute(BEGIN_PARENT, values)
            async with connection.cursor(row_factory=class_row(Run)) as cursor:
                await cursor.execute(BEGIN, values)
                run = await cursor.fetchone()
            if run is None:
                row = await (await connection.execute(STATE, [task])).fetchone()
                await connection.rollback()  # its group or chain must not run because of this
                said = await connection.execute(SAY_PAUSED, values)
                if again and not said.rowcount and await self._wait_again(connection, task):
                    return TaskState.QUEUED
                return TaskState(str(row[0])) if row else None
            if parent:  # a part that had failed no longer counts as ended
                await update_parent(connection, *parent)
        return run

    async def end(self, run: Run, outcome: Outcome) -> Effects:
        """Record how a run ended, if it is still the task's newest. Raises `Unavailable`."""
        message, message_params = to_columns(outcome.message)
        error, error_params = to_columns(outcome.error)
        values = {
            **asdict(outcome),
            "id": run.id,
            "attempt": run.attempt,
            "ended": outcome.state in ENDED,
            "nudge": REPUBLISH_AFTER,
            "message": message,
            "message_params": None if message_params is None else Jsonb(message_params),
            "error": error,
            "error_params": None if error_params is None else Jsonb(error_params),
        }
        if run.part_of is None:
            self._count(await self._database.fetch(END, values), outcome.state)
            return Effects()
        effects = await self._ends.run(_End(END, values, run.part_of, outcome.state))
        if isinstance(effects, Exception):
            raise effects
        return effects

    async def renew(self, runs: Sequence[Run]) -> None:
        """Say that these still run. Raises `Unavailable`."""
        async with self._database.connection() as connection:
            await connection.execute(RENEW, {**_named(runs), "lease": LEASE})

    async def cancel_requested(self, runs: Sequence[Run]) -> set[UUID]:
        """Return the tasks among these runs that somebody wants cancelled. Raises `Unavailable`."""
        async with self._database.connection() as connection:
            rows: list[Any] = await (await connection.execute(CANCEL_REQUESTED, _named(runs))).fetchall()
        return {row[0] for row in rows}

    async def sweep(self, *, queue_empty: bool) -> Effects:
        """Fail tasks whose worker was lost, and find those whose message was lost. Raises `Unavailable`.

        `queue_empty`: no message waits, so a queued task that no worker has taken has lost its message. Does
        nothing while another process sweeps.
        """
        async with self._database.connection() as connection:
            got = await (
                await connection.execute("select pg_try_advisory_xact_lock(%s)", (SWEEP_LOCK,))
            ).fetchone()
            if not got or not got[0]:
                return Effects()
            limits = {"limit": SWEEP_LIMIT, "max_nudges": MAX_NUDGES}
            async with connection.cursor(row_factory=class_row(_Lost)) as cursor:
                await cursor.execute(FIND_LOST, limits)
                lost = await cursor.fetchall()
            async with connection.cursor(row_factory=class_row(DueTask)) as dues:
                grace = timedelta() if queue_empty else BUSY_GRACE
                await dues.execute(REPUBLISH, {**limits, "first": REPUBLISH_AFTER, "grace": grace})
                due = await dues.fetchall()
        followed = [await self._fail(task) for task in lost]
        return Effects(
            [*due, *(task for effects in followed for task in effects.due)],
            [report for effects in followed for report in effects.reports],
        )

    async def _fail(self, lost: _Lost) -> Effects:
        reason, error = (LOST, WORKER_LOST) if lost.begun else (NEVER_BEGUN, NO_WORKER_TOOK_IT)
        values = {
            "id": lost.id,
            "reason": reason,
            "error": error.code,
            "max_nudges": MAX_NUDGES,
            "leap": STEP_LEAP,
        }
        if lost.part_of is None:
            self._count(await self._database.fetch(FAIL_LOST, values), TaskState.FAILED)
            return Effects()
        return await self._end_parts(lost.part_of, [_End(FAIL_LOST, values, lost.part_of, TaskState.FAILED)])

    async def _end_all(self, ends: Sequence[_End]) -> Sequence[Effects | Exception]:
        """Record ends of parts that come together, those of one group or chain in one transaction."""
        together: dict[UUID, list[int]] = {}
        for place, end in enumerate(ends):
            together.setdefault(end.part_of, []).append(place)
        found: list[Effects | Exception] = [Effects()] * len(ends)
        for parent, places in together.items():
            try:
                found[places[0]] = await self._end_parts(parent, [ends[place] for place in places])
            except Unavailable as error:
                found = [error if place in places else effects for place, effects in enumerate(found)]
            except Exception:
                for place in places:  # each on its own: one that PostgreSQL rejects holds up no other
                    try:
                        found[place] = await self._end_parts(parent, [ends[place]])
                    except Exception as error:
                        found[place] = error
        return found

    async def _end_parts(self, parent: UUID, ends: Sequence[_End]) -> Effects:
        ended: list[tuple[Any, TaskState]] = []
        async with self._database.connection() as connection:
            effects = await _write_ends(connection, parent, ends, ended)
        for row, state in ended:  # only what is committed counts
            self._count([row], state)
        return effects

    def _count(self, rows: Sequence[Any], state: TaskState) -> None:
        """Count a task that ended. `rows` are what its statement returned: its place and its state before."""
        if rows and state in ENDED and rows[0][1] not in ENDED:
            self._counters.add(names.TASKS, state)

    async def _wait_again(self, connection: Connection, task: UUID) -> bool:
        """Queue a task again that a pause kept from running once more; tell whether this was such a task."""
        parent = await self._lock_parent_of(connection, task)
        done = await connection.execute(WAIT_AGAIN, {"id": task, "first": REPUBLISH_AFTER})
        if done.rowcount and parent:
            await update_parent(connection, *parent)
        return bool(done.rowcount)

    async def _lock_parent_of(self, connection: Connection, task: UUID) -> tuple[UUID, str] | None:
        row: Any = await (await connection.execute("select part_of from tasks where id = %s", [task])).fetchone()
        if row is None or row[0] is None:
            return None
        name: Any = await (await connection.execute(LOCK_PARENT, [row[0]])).fetchone()
        return (row[0], name[0]) if name else None


async def _write_ends(
    connection: Connection, parent: UUID, ends: Sequence[_End], ended: list[tuple[Any, TaskState]]
) -> Effects:
    """Write the ends of parts of one group or chain, and note in `ended` what each statement returned."""
    locked = await (await connection.execute(LOCK_PARENT, [parent])).fetchone()
    name = str(locked[0]) if locked else ""
    due: list[DueTask] = []
    more, recount = 0, False
    for end in ends:
        row: Any = await (await connection.execute(end.statement, end.values)).fetchone()
        if row is None:
            continue
        place, before = row
        ended.append((row, end.state))
        if name == CHAIN and end.state in ENDED:
            if end.state == TaskState.DONE:
                due += await queue_next(connection, parent, place)
            else:
                rest = await cancel_rest(connection, parent)
                ended += [((place, TaskState.QUEUED), TaskState.CANCELLED)] * rest
                recount = True
        recount |= before in ENDED
        more += end.state in ENDED and before not in ENDED
    if not locked or not (more or recount):
        return Effects(due)
    if recount:
        return Effects(due, [await update_parent(connection, parent, name)])
    return Effects(due, [await count_more(connection, parent, name, more)])


def _named(runs: Sequence[Run]) -> dict[str, Any]:
    return {"ids": [run.id for run in runs], "attempts": [run.attempt for run in runs]}
