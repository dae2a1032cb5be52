"""The base of every task: live progress, the services at hand, coroutines welcome, a row that tells its end."""

import inspect
import logging
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from celery import Task
from celery.exceptions import Ignore, Reject, Retry

from mailroom.jobs.loop import WorkerLoop
from mailroom.jobs.publisher import HAS_ROW
from mailroom.jobs.runtime import Runtime
from mailroom.jobs.task_leases import HeldTask
from mailroom.kit import clock
from mailroom.kit.errors import MailroomError, Unavailable
from mailroom.progress.reports import Cancelled, Running, fit_text, running
from mailroom.services import Services
from mailroom.tasks.states import BROKEN, BROKEN_SENTENCE, Ending, TaskState

logger = logging.getLogger(__name__)

LONGEST_ERROR = 2_000
LONGEST_TRACEBACK = 20_000
"""Characters of what a task raised that its row keeps."""


class MailroomTask(Task):  # type: ignore[misc]  # Celery ships no types
    """Base of background tasks: live progress by `report()`, the services at hand, coroutines welcome.

    A task may be an ordinary function or a coroutine function; the latter runs in the process's event loop,
    where the services live. With `cancellable=True` it may be stopped at its reports.
    """

    abstract = True
    cancellable = False
    loop: WorkerLoop[Runtime]

    @property
    def services(self) -> Services:
        """The application's services, as a web request has them; use them in coroutine tasks."""
        return self.loop.start().services

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task with its reports going to its own result, and its end to its row if it has one."""
        if self.request.called_directly:  # by another task: part of that one
            return super().__call__(*args, **kwargs)

        def work() -> Any:
            result = super(MailroomTask, self).__call__(*args, **kwargs)
            return self.loop.run(lambda _living: result) if inspect.iscoroutine(result) else result

        if HAS_ROW in (self.request.headers or {}):
            return self._run_with_row(work)
        living = self.loop.start()
        return self._run(work, Running(str(self.request.id), living.reporter.put))

    def _run(self, work: Callable[[], Any], here: Running) -> Any:
        try:
            with running(here):
                result = work()
        except Ignore:
            raise  # Celery stores nothing: what was reported last is what stands, and has to get there
        except BaseException:
            self._leave_the_end_to_celery(here)
            raise
        self._leave_the_end_to_celery(here)
        return result

    def _leave_the_end_to_celery(self, here: Running) -> None:
        """Store no more reports; unless Celery stores nothing, and the last report is the end (a mail's)."""
        if not self.ignore_result:
            self.loop.start().reporter.forget(here.task)

    def _run_with_row(self, work: Callable[[], Any]) -> Any:
        """Run the task if its row lets us, and write there how it ended before Celery stores its result."""
        held = self._begin()
        try:
            result = self._run(work, held.running)
        except BaseException as error:
            ending = ending_of(error, held.running)
            self.loop.run(lambda living: living.task_leases.end(held, ending))
            if is_cancelled(error):
                self._store_revoked()
                raise Ignore from None
            raise
        done = Ending(TaskState.DONE, **held.running.said())
        self.loop.run(lambda living: living.task_leases.end(held, done))
        return result

    def _begin(self) -> HeldTask:
        task, again = UUID(self.request.id), bool(self.acks_late)
        try:
            held = self.loop.run(
                lambda living: living.task_leases.begin(task, cancellable=self.cancellable, again=again)
            )
        except Unavailable:
            raise Ignore from None  # the sweep asks again once the database is back
        if isinstance(held, HeldTask):
            return held
        if held == TaskState.CANCELLED:
            self._store_revoked()
        raise Ignore  # it runs elsewhere, or has ended

    def _store_revoked(self) -> None:
        """Let Celery's own clients know; our watchers have the row."""
        with suppress(Exception):
            self.backend.mark_as_revoked(self.request.id, "cancelled", request=self.request)


def ending_of(error: BaseException, here: Running) -> Ending:
    """Return how a run ended that raised."""
    said = here.said()
    if is_cancelled(error) or isinstance(error, Ignore):
        return Ending(TaskState.CANCELLED, **said)
    if isinstance(error, Retry):
        return Ending(TaskState.RETRYING, **_why(error.exc), retry_at=_when(error), **said)
    if isinstance(error, Reject):
        return Ending(TaskState.QUEUED if error.requeue else TaskState.CANCELLED, **said)
    trace = "".join(traceback.format_exception(error))
    return Ending(
        TaskState.FAILED,
        **_why(error),
        traceback=fit_text(trace[-LONGEST_TRACEBACK:], LONGEST_TRACEBACK),
        **said,
    )


def is_cancelled(error: BaseException) -> bool:
    """Tell whether a task ended because `report` said that it is cancelled, be it in one of its coroutines."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(Cancelled)[1] is None
    return isinstance(error, Cancelled)


def _why(error: BaseException | None) -> dict[str, Any]:
    """Return what members read of an error: its text only where it was written for them."""
    if error is None:
        return {}
    if isinstance(error, MailroomError):
        return {"error": fit_text(str(error), LONGEST_ERROR)}
    return {"reason": BROKEN, "error": BROKEN_SENTENCE}


def _when(error: Retry) -> datetime:
    when = error.when
    if isinstance(when, datetime):
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return clock.now() + timedelta(seconds=float(when or 0))
