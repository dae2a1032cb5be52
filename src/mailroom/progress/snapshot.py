"""A snapshot of one task, as watchers get it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

NO_NEWS = "connecting"
"""State of a snapshot without news: neither the row nor a result could be read. What was known stays valid."""
FINAL_STATES = frozenset({"sent", "done", "failed", "expired", "cancelled"})

CELERY_STATES = {
    "PENDING": "queued",
    "RECEIVED": "queued",
    "STARTED": "running",
    "PROGRESS": "running",
    "RETRY": "retrying",
    "SUCCESS": "done",
    "FAILURE": "failed",
    "REVOKED": "cancelled",
    "IGNORED": "cancelled",
}
"""Celery's states in our words. States of our own (`sending`, `retrying`, …) stay as they are."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where one task is, as one watcher may know it.

    `current`, `total` count what the task counts; `rate` is the count per second, `eta` the seconds left.
    `retry_at` (only if another try is to come) and the times in `timeline` are ISO 8601 in UTC.
    `attempt` and `step` order snapshots of the same task: the higher pair is the newer, whichever way it came.
    """

    task: UUID
    """The ticket."""
    state: str = "queued"
    stage: str | None = None
    message: str | None = None
    """What the task says of itself, in its own words; none if `message_code` has a code for it."""
    message_code: str | None = None
    """A code of the catalogue (`i18n/sentences.py`), filled with `params` at the edge."""
    params: Mapping[str, Any] | None = None
    current: float | None = None
    total: float | None = None
    rate: float | None = None
    eta: float | None = None
    attempt: int = 0
    step: int = 0
    retry_at: str | None = None
    error: Mapping[str, Any] | None = None
    """Why it waits or failed, with the keys that apply.

    ``reason``, ``code`` (SMTP reply code, RFC 5321 §4.2), ``enhanced`` (RFC 3463), ``since`` (ISO 8601); our own
    sentence as ``message_code`` and ``params``, the text of an exception as ``message``; for owners and operators
    ``answer``, which is the mail server's text; for operators ``detail``: template, line and variable of a mail
    that could not be rendered.
    """
    timeline: tuple[Mapping[str, Any], ...] = field(default=())
    """What happened when: ``{"stage": …, "at": …, "attempt": n}``, oldest first."""
    follow_up: str | None = None
    cancellable: bool = False
    """True if it can be cancelled although it is running."""
    final: bool = False

    def public(self, *, owner: bool = False, operator: bool = False) -> dict[str, Any]:
        """Return the JSON of the protocol, with only the keys that apply; sentences are codes here.

        The edges use `in_words` of `i18n/sentences.py`, which adds the words. The mail server's own text
        (`error.answer`) is included for an `owner` only, the place of an error of ours (`error.detail`) for an
        `operator` only.
        """
        error = dict(self.error) if self.error else None
        if error and not owner:
            error.pop("answer", None)
        if error and not operator:
            error.pop("detail", None)
        pairs = {
            "stage": self.stage,
            "message": self.message,
            "message_code": self.message_code,
            "params": dict(self.params) if self.params else None,
            "current": self.current,
            "total": self.total,
            "rate": self.rate,
            "eta": self.eta,
            "attempt": self.attempt or None,
            "retry_at": self.retry_at,
            "error": error,
            "timeline": list(self.timeline) or None,
            "afterword": self.follow_up,
            "cancellable": (self.cancellable and not self.final) or None,
        }
        known = {key: value for key, value in pairs.items() if value is not None}
        return {"task": str(self.task), "state": self.state, **known, "final": self.final}
