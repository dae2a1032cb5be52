"""The states of a task that is no mail: its row, its result, the API, the pages and the tests use these words.

queued → running → done                     queued | retrying → cancelled (by a person)
running → retrying → running                running → cancelled (by a person, where the task allows it)
running → failed (it raised, or its worker was lost)      failed | cancelled → queued (by a person)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from mailroom.progress.sentence import Sentence, as_facts
from mailroom.tasks.models import CHAIN


class TaskState(StrEnum):
    """Where a task is."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAITING = (TaskState.QUEUED, TaskState.RETRYING)
RETRYABLE = (TaskState.FAILED, TaskState.CANCELLED)
"""States from which a person may start a task again."""
ENDED = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED})
"""States that end a task, until a person starts it again."""

LOST = "worker lost"
"""The reason of a failed task whose worker stopped renewing its lease, or was stopped."""
NEVER_BEGUN = "never begun"
"""The reason of a failed task that no worker ever took."""
BROKEN = "broken"
"""The reason of a task that raised an error whose text is for developers, such as a KeyError's `'name'`."""
WORKER_LOST = Sentence("task.worker_lost")
WORKER_STOPPED = Sentence("task.worker_stopped")
NO_WORKER_TOOK_IT = Sentence("task.never_begun")
TASK_BROKEN = Sentence("task.broken")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of a task ended: the state it leads to, and what the row keeps of the run.

    `step` is the step of the last report; `current`, `total`, `message` and `stage` are what it said. `error` is
    the text of an exception, or a code of our own.
    """

    state: TaskState
    step: int = 0
    current: float | None = None
    total: float | None = None
    message: str | Sentence | None = None
    stage: str | None = None
    reason: str | None = None
    error: str | Sentence | None = None
    traceback: str | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ParentProgress:
    """Where a group or chain is, which follows from its parts; `current` of its `total` parts have ended."""

    state: TaskState
    current: int
    total: int
    error: Sentence | None = None


def parent_progress(
    name: str, parts: Mapping[str, int], *, first_error: str | Sentence | None = None
) -> ParentProgress:
    """Return where a group or chain is. `parts` counts its parts by state; `first_error` is their first one's.

    A group goes on until all its parts have ended. A chain ends with the first part that fails.
    """
    total = sum(parts.values())
    done, failed, cancelled = (
        parts.get(state, 0) for state in (TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED)
    )
    ended = done + failed + cancelled
    broken = name == CHAIN and failed > 0
    if ended < total and not broken:
        begun = ended > 0 or parts.get(TaskState.RUNNING, 0) or parts.get(TaskState.RETRYING, 0)
        return ParentProgress(TaskState.RUNNING if begun else TaskState.QUEUED, ended, total)
    if failed:
        facts = as_facts(Sentence("task.no_reason") if first_error is None else first_error)
        cause: Any = facts.get("message", facts)
        if broken:
            error = Sentence("task.step_failed", {"step": done + 1, "total": total, "error": cause})
            return ParentProgress(TaskState.FAILED, done, total, error)
        error = Sentence("task.parts_failed", {"failed": failed, "total": total, "error": cause})
        return ParentProgress(TaskState.FAILED, ended, total, error)
    return ParentProgress(
        TaskState.CANCELLED if cancelled else TaskState.DONE, done if cancelled else ended, total
    )
