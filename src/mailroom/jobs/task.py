"""The base class of every task: live progress, the services, coroutines, and a row that records its end."""

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
from mailroom.jobs.task_leases import LeasedTask
from mailroom.kit import clock
from mailroom.kit.errors import MailroomError, Unavailable
from mailroom.progress.reports import Cancelled, CurrentTask, as_current_task, fit_text
from mailroom.progress.sentence import Sentence
from mailroom.services import Services, serving
from mailroom.tasks.states import BROKEN, TASK_BROKEN, Outcome, TaskState

logger = logging.getLogger(__name__)

LONGEST_ERROR = 2_000
"""Characters of an exception's text that the row keeps."""
LONGEST_TRACEBACK = 20_000
"""Characters of a traceback's end that the row keeps."""


class MailroomTask(Task):  # type: ignore[misc]  # Celery ships no types
    """Base of background tasks. A task may be a function, or a coroutine function.

    A function runs in a thread of Celery's pool. A coroutine runs in the event loop of the process, where the
    services run. A task with `cancellable=True` may be stopped at its reports.
    """

    abstract = True
    cancellable = False
    loop: WorkerLoop[Runtime]

    @property
    def services(self) -> Services:
        """The application's services, as a web request has them; use them in coroutine tasks."""
        return self.loop.start().services

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task. Its reports go to its own result, its end to its row, if it has one."""
        if self.request.called_directly:  # by another task: part of that one
            return super().__call__(*args, **kwargs)

        def work() -> Any:
            with serving(self.services):
                result = super(MailroomTask, self).__call__(*args, **kwargs)
                return self.loop.run(lambda _runtime: result) if inspect.iscoroutine(result) else result

        if HAS_ROW in (self.request.headers or {}):
            return self._run_with_row(work)
        runtime = self.loop.start()
        return self._run(work, CurrentTask(str(self.request.id), runtime.reporter.put))

    def _run(self, work: Callable[[], Any], current: CurrentTask) -> Any:
        try:
            with as_current_task(current):
                result = work()
        except Ignore:
            raise  # Celery stores nothing: the last report is the result, and has to be stored
        except BaseException:
            self._leave_the_end_to_celery(current)
            raise
        self._leave_the_end_to_celery(current)
        return result

    def _leave_the_end_to_celery(self, current: CurrentTask) -> None:
        """Store no more reports, unless Celery stores nothing and the last report is the end (as for mails)."""
        if not self.ignore_result:
            self.loop.start().reporter.forget(current.task)

    def _run_with_row(self, work: Callable[[], Any]) -> Any:
        """Run the task if its row allows it, and write its end there before Celery stores its result."""
        leased = self._begin()
        try:
            result = self._run(work, leased.current)
        except BaseException as error:
            outcome = outcome_of(error, leased.current)
            self.loop.run(lambda runtime: runtime.task_leases.end(leased, outcome))
            if is_cancelled(error):
                self._store_revoked()
                raise Ignore from None
            raise
        done = Outcome(TaskState.DONE, **leased.current.last_report())
        self.loop.run(lambda runtime: runtime.task_leases.end(leased, done))
        return result

    def _begin(self) -> LeasedTask:
        task, again = UUID(self.request.id), bool(self.acks_late)
        try:
            leased = self.loop.run(
                lambda runtime: runtime.task_leases.begin(task, cancellable=self.cancellable, again=again)
            )
        except Unavailable:
            raise Ignore from None  # the sweep asks again once the database is back
        if isinstance(leased, LeasedTask):
            return leased
        if leased == TaskState.CANCELLED:
            self._store_revoked()
        raise Ignore  # it runs elsewhere, or has ended

    def _store_revoked(self) -> None:
        """Store that the task was cancelled for Celery's own clients; our watchers have the row."""
        with suppress(Exception):
            self.backend.mark_as_revoked(self.request.id, "cancelled", request=self.request)


def outcome_of(error: BaseException, current: CurrentTask) -> Outcome:
    """Return how a run ended that raised `error`."""
    last = current.last_report()
    if is_cancelled(error) or isinstance(error, Ignore):
        return Outcome(TaskState.CANCELLED, **last)
    if isinstance(error, Retry):
        return Outcome(TaskState.RETRYING, **_cause(error.exc), retry_at=_retry_at(error), **last)
    if isinstance(error, Reject):
        return Outcome(TaskState.QUEUED if error.requeue else TaskState.CANCELLED, **last)
    trace = "".join(traceback.format_exception(error))
    return Outcome(
        TaskState.FAILED,
        **_cause(error),
        traceback=fit_text(trace[-LONGEST_TRACEBACK:], LONGEST_TRACEBACK),
        **last,
    )


def is_cancelled(error: BaseException) -> bool:
    """Tell whether `report` ended a task because it was cancelled, also in one of its coroutines."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(Cancelled)[1] is None
    return isinstance(error, Cancelled)


def _cause(error: BaseException | None) -> dict[str, Any]:
    """Return what members read of an error: its text only if it was written for them."""
    if error is None:
        return {}
    if isinstance(error, MailroomError):
        code = error.message_code
        return {"error": Sentence(code, dict(error.params)) if code else fit_text(str(error), LONGEST_ERROR)}
    return {"reason": BROKEN, "error": TASK_BROKEN}


def _retry_at(error: Retry) -> datetime:
    when = error.when
    if isinstance(when, datetime):
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return clock.now() + timedelta(seconds=float(when or 0))
