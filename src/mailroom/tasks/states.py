"""The words for where a task is that is no mail: its row, its result, the API, the pages and the tests use these.

queued → running → done                     queued | retrying → cancelled (by a person)
running → retrying → running                running → cancelled (by a person, where the task allows it)
running → failed (it raised, or its worker was lost)      failed | cancelled → queued (by a person)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailroom.tasks.models import CHAIN


class TaskState(StrEnum):
    """Where a task is."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED})
"""States that end a task, until a person begins it again."""

LOST = "worker lost"
"""Why a task failed whose worker was not heard of any more."""
LOST_SENTENCE = "The worker was lost while it worked on this: its process ended, or its machine did."
NEVER_BEGUN = "never begun"
"""Why a task failed that no worker ever took."""
NEVER_BEGUN_SENTENCE = "No worker took this on for two days. Perhaps this Mailroom no longer knows such tasks."


BROKEN = "broken"
"""Why a task failed that raised an error whose words are for developers: a KeyError says no more than `'name'`."""
BROKEN_SENTENCE = "The task ran into an error of this Mailroom. The operator can see what went wrong."


def message_code(reason: str | None) -> str | None:
    """Return the code of the sentence for a reason (`i18n/sentences.py`), where there is one."""
    return "task.broken" if reason == BROKEN else None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run of a task ended: the state it brings it to, and what is to be read of it afterwards."""

    state: TaskState
    step: int = 0
    current: float | None = None
    total: float | None = None
    message: str | None = None
    stage: str | None = None
    reason: str | None = None
    error: str | None = None
    traceback: str | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """Where a group or chain is, by where its parts are."""

    state: TaskState
    current: int
    total: int
    error: str | None = None


def together(name: str, parts: Mapping[str, int], *, first_error: str | None = None) -> Whole:
    """Return where a group or chain is; `parts` counts them by state.

    It counts the parts that have ended. It goes on until all have, but a chain ends with the first that fails.
    """
    total = sum(parts.values())
    done, failed, cancelled = (
        parts.get(state, 0) for state in (TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED)
    )
    ended = done + failed + cancelled
    broken = name == CHAIN and failed > 0
    if ended < total and not broken:
        begun = ended > 0 or parts.get(TaskState.RUNNING, 0) or parts.get(TaskState.RETRYING, 0)
        return Whole(TaskState.RUNNING if begun else TaskState.QUEUED, ended, total)
    if failed:
        said = f"Step {done + 1} of {total} failed" if broken else f"{failed} of {total} failed"
        return Whole(
            TaskState.FAILED, done if broken else ended, total, f"{said}: {first_error or 'no reason given'}"
        )
    return Whole(TaskState.CANCELLED if cancelled else TaskState.DONE, done if cancelled else ended, total)
