"""Groups and chains: rows that follow from the rows of their parts.

The caller has locked the row of the group or chain (`LOCK_PARENT`), so that only one part at a time counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from mailroom.progress.rate import ProgressRate
from mailroom.progress.sentence import from_columns
from mailroom.tasks.queries import CANCEL_REST, COUNT_MORE, COUNT_PARTS, QUEUE_NEXT, UPDATE_PARENT
from mailroom.tasks.states import ENDED, ParentProgress, TaskState, parent_progress

Connection = AsyncConnection[Any]

REPUBLISH_AFTER = timedelta(seconds=10)
"""Time after which a queued task's message is taken for lost; it doubles up to five minutes."""


@dataclass(frozen=True, slots=True)
class DueTask:
    """A task whose message is to be published."""

    id: UUID
    name: str
    arguments: Sequence[Any]


@dataclass(frozen=True, slots=True)
class ParentReport:
    """What is to be reported of a group or chain. `rate` is in parts a second, `eta` in seconds."""

    task: UUID
    progress: ParentProgress
    attempt: int
    step: int
    rate: float | None = None
    eta: float | None = None


async def count_more(connection: Connection, parent: UUID, name: str, ended: int) -> ParentReport:
    """Add `ended` parts to those that have ended; count all parts anew only if none is left."""
    row: Any = await (await connection.execute(COUNT_MORE, {"id": parent, "ended": ended})).fetchone()
    if row is None:
        return await update_parent(connection, parent, name)
    attempt, step, current, total, seconds = row
    return _report(
        parent, ParentProgress(TaskState.RUNNING, int(current), int(total)), attempt, step, float(seconds)
    )


async def update_parent(connection: Connection, parent: UUID, name: str) -> ParentReport:
    """Update the row of a group or chain from the rows of its parts. `name` is the row's."""
    parts: list[Any] = await (await connection.execute(COUNT_PARTS, [parent])).fetchall()
    errors = [error for state, _, error in parts if state == TaskState.FAILED and error]
    progress = parent_progress(
        name,
        {state: count for state, count, _ in parts},
        first_error=from_columns(errors[0]["text"], errors[0]["params"]) if errors else None,
    )
    error = progress.error
    values = {
        "id": parent,
        "state": progress.state,
        "current": progress.current,
        "total": progress.total,
        "error": error.code if error else None,
        "error_params": Jsonb(error.params) if error else None,
        "ended": progress.state in ENDED,
    }
    attempt, step, seconds = await (await connection.execute(UPDATE_PARENT, values)).fetchone() or (1, 1, 0.0)
    return _report(parent, progress, attempt, step, float(seconds))


async def queue_next(connection: Connection, chain: UUID, place: int) -> Sequence[DueTask]:
    """Queue the part of a chain behind `place`, which is done."""
    async with connection.cursor(row_factory=class_row(DueTask)) as cursor:
        await cursor.execute(QUEUE_NEXT, {"parent": chain, "place": place + 1, "first": REPUBLISH_AFTER})
        return await cursor.fetchall()


async def cancel_rest(connection: Connection, chain: UUID) -> int:
    """Cancel all parts of a chain that wait, since an earlier one ended without being done; return how many."""
    return (await connection.execute(CANCEL_REST, [chain])).rowcount


def _report(parent: UUID, progress: ParentProgress, attempt: int, step: int, seconds: float) -> ParentReport:
    """Return the report; the rate is the mean since the group or chain began, `seconds` ago."""
    rate = ProgressRate()
    rate.add(0.0, 0.0, progress.total)
    rate.add(seconds, progress.current, progress.total)
    return ParentReport(parent, progress, attempt, step, rate.rate, rate.eta)
