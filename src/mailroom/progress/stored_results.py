"""From what Celery stored for a task to the snapshot a watcher is shown."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from mailroom.kit.errors import MailroomError
from mailroom.progress.snapshot import CELERY_STATES, FINAL_STATES, Snapshot


def merge(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return both timelines as one, by attempt and time; if both have the same moment, take it from `new`."""
    moments = {(moment["attempt"], moment["stage"]): moment for moment in (*old, *new)}
    return tuple(sorted(moments.values(), key=lambda moment: (moment["attempt"], moment["at"])))


def from_result(task: UUID, meta: Mapping[str, Any]) -> Snapshot | None:
    """Return what a stored Celery result says, in our words; None if it says nothing about progress.

    The return value of a task is not shown. The text of an exception is shown if it is a `MailroomError`; the
    texts of others are for developers. If the last argument of the exception is a mapping with a `message_code`,
    it is the snapshot's `error`.
    """
    status, result = meta["status"], meta.get("result")
    news = result if isinstance(result, Mapping) and "step" in result else {}
    state = str(news.get("state") or CELERY_STATES.get(status, status))
    if not news and state not in FINAL_STATES:
        return Snapshot(task, state=state, **_said_by_others(result)) if state != "queued" else None
    error = _error_of(result) if isinstance(result, Exception) else None
    names = (
        "stage",
        "message",
        "message_code",
        "params",
        "current",
        "total",
        "rate",
        "eta",
        "retry_at",
        "cancellable",
    )
    return Snapshot(
        task=task,
        state=state,
        attempt=int(news.get("attempt", 0)),
        step=int(news.get("step", 0)),
        error=news.get("error", error),
        timeline=tuple(news.get("timeline", ())),
        final=bool(news.get("final", state in FINAL_STATES)),
        **{name: news[name] for name in names if name in news},
    )


LONGEST_DESCRIPTION = 300


def _said_by_others(meta: Any) -> dict[str, Any]:
    """Return what a task of another app says with Celery's own `update_state`, as celery-progress writes it."""
    if not isinstance(meta, Mapping):
        return {}
    said: dict[str, Any] = {}
    for name in ("current", "total"):
        number = meta.get(name)
        if isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number):
            said[name] = float(number)
    description = meta.get("description", meta.get("message"))
    if isinstance(description, str) and description:
        said["message"] = description[:LONGEST_DESCRIPTION]
    return said


def _error_of(failure: Exception) -> Mapping[str, Any]:
    facts = failure.args[-1] if failure.args else None
    if isinstance(facts, Mapping) and "message_code" in facts:
        return dict(facts)
    if isinstance(failure, MailroomError):
        return {"message": str(failure)}
    return {"reason": "broken", "message_code": "task.broken"}
