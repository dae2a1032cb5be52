"""The Celery tasks that send mail: thin wrappers of `mail/delivery/deliverer.py`."""

import logging
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from celery import Celery
from celery.exceptions import Ignore

from mailroom.jobs.loop import WorkerLoop
from mailroom.jobs.mail_strategy import MailStrategy
from mailroom.jobs.publisher import DELIVER, SEND_BULK, SEND_MANY
from mailroom.jobs.runtime import Runtime
from mailroom.kit.errors import Unavailable
from mailroom.mail.delivery.attempt import RunningAttempt
from mailroom.mail.states import State
from mailroom.progress.reporter import PutReport, Report
from mailroom.progress.snapshot import Snapshot

STAGES_WAIT = 0.1
"""Seconds the report of a stage waits: a mail that is through by then is stored once, not four times."""
ENDS_WAIT = 0.02
"""Seconds an end waits to be stored together with others; storing each alone would block the loop each time."""


logger = logging.getLogger(__name__)


class MailNotSent(Exception):
    """A mail has ended without being sent. Arguments: a line of codes, and the snapshot's `error`."""

    def __str__(self) -> str:
        """Return the state, the reason and the mail server's codes."""
        return str(self.args[0]) if self.args else ""


def register(app: Celery, loop: WorkerLoop[Runtime]) -> None:
    """Give the app its mail tasks."""
    base = type("DeliverTask", (MailStrategy, app.Task), {"abstract": True, "loop": loop})

    # Only `MailReports` stores its result. Celery would store a failure of its own when it cannot store a success
    # (Redis is away) or loses a child of its pool, whatever the mail's row says.
    @app.task(name=DELIVER, base=base, track_started=False, ignore_result=True, resultrepr_maxsize=60)
    def deliver(mail_id: str) -> dict[str, Any]:
        """Send one mail. Its result is the mail's snapshot; a run that does not end the mail leaves none.

        Raises `MailNotSent` if it has ended unsent.
        """
        try:
            shown = loop.run(lambda runtime: runtime.deliverer.deliver(UUID(mail_id)))
        except (Unavailable, CancelledError):
            raise Ignore from None  # the sweep asks again: once the database is back, or in another worker
        except Exception:
            # No error here ends the mail: a failure stored as the result would be shown, and be wrong.
            logger.exception("a mail waits for the sweep")
            raise Ignore from None
        if shown is None or not shown.final:
            raise Ignore
        if shown.state != State.SENT:
            raise MailNotSent(*_failure(shown))
        return stored(shown)

    @app.task(name=SEND_MANY, track_started=False, ignore_result=True)
    def send_many(mail_ids: list[str]) -> None:
        """Send these mails; each one's result is stored under its own id."""
        ids = [UUID(mail_id) for mail_id in mail_ids]
        try:
            loop.run(lambda runtime: runtime.deliverer.deliver_many(ids))
        except CancelledError:
            raise Ignore from None  # this worker has ended; the sweep asks another one

    @app.task(name=SEND_BULK, track_started=False, ignore_result=True)
    def send_bulk() -> None:
        """Claim mails of the bulk stream while connections are free. Returns at once."""
        with suppress(CancelledError):
            loop.run(lambda runtime: runtime.deliverer.begin_bulk())


def stored(shown: Snapshot) -> dict[str, Any]:
    """Return a snapshot as a result holds it: what anyone may read, and the attempt and step that order it."""
    return {**shown.public(), "attempt": shown.attempt, "step": shown.step}


class MailReports:
    """Shows where mails are as Celery results: states of our own while on their way, Celery's at the end."""

    def __init__(self, put: PutReport) -> None:
        self._put = put

    def show_attempt(self, attempt: RunningAttempt) -> None:
        """Report an attempt under way; its snapshot is taken only when the report is stored."""
        self._put(
            Report(
                str(attempt.claim.id), State.SENDING, lambda: stored(attempt.read()), urgent=True, wait=STAGES_WAIT
            )
        )

    def show(self, snapshot: Snapshot) -> None:
        """Report a mail that has ended or waits for its next attempt."""
        task, state = str(snapshot.task), snapshot.state
        if not snapshot.final:
            self._put(Report(task, state, partial(stored, snapshot), urgent=True, wait=STAGES_WAIT))
        elif state == State.SENT:
            self._put(Report(task, "SUCCESS", partial(stored, snapshot), urgent=True, company=ENDS_WAIT))
        else:
            failure = {"exc_type": "MailNotSent", "exc_message": _failure(snapshot), "exc_module": __name__}
            self._put(Report(task, "FAILURE", failure, urgent=True, company=ENDS_WAIT))


def _failure(shown: Snapshot) -> list[Any]:
    """Return the arguments of `MailNotSent`: codes only; the edges have the sentences."""
    error = shown.public().get("error", {})
    codes = " ".join(str(error[key]) for key in ("code", "enhanced") if key in error)
    return [f"{shown.state}: {error.get('reason', '')}" + (f" ({codes})" if codes else ""), error]
