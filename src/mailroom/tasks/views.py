"""From a task's row to the snapshot a watcher is shown."""

from datetime import UTC, datetime
from typing import Any

from mailroom.progress.sentence import as_facts, from_columns
from mailroom.progress.snapshot import Snapshot
from mailroom.tasks.models import Task
from mailroom.tasks.states import ENDED, TaskState


def of_task(task: Task) -> Snapshot:
    """Return what the row of a task that is no mail says. Times leave here as ISO 8601 in UTC."""
    state = TaskState(task.state or TaskState.QUEUED)
    error = as_facts(from_columns(task.error, task.error_params))
    if task.reason is not None:
        error = {"reason": task.reason, **error}
    moments = ((TaskState.QUEUED, task.created_at, 0), (TaskState.RUNNING, task.began_at, task.attempt),
               (state if state in ENDED else None, task.ended_at, task.attempt))  # fmt: skip
    return Snapshot(
        task=task.id,
        state=str(state),
        stage=task.stage,
        **as_facts(from_columns(task.message, task.message_params)),
        current=_count(task.current),
        total=_count(task.total),
        attempt=task.attempt,
        step=task.step,
        retry_at=iso(task.retry_at) if state == TaskState.RETRYING else None,
        error=error or None,
        timeline=tuple(
            {"stage": str(stage), "at": iso(at), "attempt": n} for stage, at, n in moments if stage and at
        ),
        follow_up=task.follow_up,
        cancellable=task.cancellable and state not in ENDED and task.cancel_asked_at is None,
        final=state in ENDED,
    )


def iso(moment: datetime | None) -> str | None:
    """Return a time as the protocol writes it, to the millisecond."""
    if moment is None:
        return None
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")


def _count(number: float | None) -> Any:
    """Return a whole number as an int: a task that reported 3 does not read 3.0."""
    return int(number) if number is not None and number.is_integer() else number
