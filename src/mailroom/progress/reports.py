"""`report()`, by which a running task tells how far it is, up to the hand-over to the reporter."""

import contextlib
import contextvars
import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from mailroom.progress.rate import ProgressRate
from mailroom.progress.reporter import PutReport, Report
from mailroom.progress.sentence import Sentence, as_facts

logger = logging.getLogger(__name__)

LONGEST_TEXT = 500
"""Characters of a message or stage that are kept."""
PUT_AGAIN = 1.0
"""Seconds after which a report that still waits is put once more: the reporter may have had to drop it."""

P = ParamSpec("P")
R = TypeVar("R")


class Cancelled(BaseException):
    """Somebody cancelled this task. `report()` raises it in tasks that declare `cancellable=True`.

    It is not an `Exception`, so that a task's own `except Exception` does not catch it.
    """


class CurrentTask:
    """The task that runs here, and its last report. All its threads and coroutines share one."""

    def __init__(
        self, task: str, put: PutReport, *, attempt: int = 0, step: int = 0, cancellable: bool = False
    ) -> None:
        self.task = task
        """Celery's id of it."""
        self.attempt = attempt
        self.cancellable = cancellable
        self.cancel_asked = False
        """True once `report` is to raise `Cancelled`."""
        self._put = put
        self._step = step
        self._last: dict[str, Any] = {}
        self._rate = ProgressRate()
        self._lock = threading.Lock()
        self._waits_since: float | None = None

    def update(self, current: object, total: object, message: object, stage: object) -> None:
        """Keep a report, and have it stored soon. Cheap while an earlier one still waits."""
        now, last = time.monotonic(), self._last
        with self._lock:
            for name, number in (("current", current), ("total", total)):
                if number is not None and (fit := _number(number)) is not None:
                    last[name] = fit
            for name, text in (("message", message), ("stage", stage)):
                if text is not None:
                    last[name] = text if isinstance(text, str | Sentence) else str(text)
            self._step += 1
            if current is not None and "current" in last:
                self._rate.add(now, last["current"], last.get("total"))
            if self._waits_since is not None and now - self._waits_since < PUT_AGAIN:
                return  # the report that waits will include this
            self._waits_since = now
        self._put(Report(self.task, "running", self.result))

    def result(self) -> dict[str, Any]:
        """Return what is stored: the last report, rate (a second), eta (seconds), attempt and step."""
        with self._lock:
            self._waits_since = None
            last = self._fit()
            message = as_facts(last.pop("message", None))
            cancellable = self.cancellable and not self.cancel_asked
            more = {"rate": self._rate.rate, "eta": self._rate.eta, "cancellable": cancellable or None}
            known = {key: value for key, value in more.items() if value is not None}
            return {**last, **message, **known, "attempt": self.attempt, "step": self._step}

    def last_report(self) -> dict[str, Any]:
        """Return what was reported last of `current`, `total`, `message` and `stage`, and the `step`."""
        with self._lock:
            return {**self._fit(), "step": self._step}

    def _fit(self) -> dict[str, Any]:
        return {
            key: fit_text(value, LONGEST_TEXT) if isinstance(value, str) else value
            for key, value in self._last.items()
        }


def _number(value: Any) -> float | None:
    """Return a count that JSON and PostgreSQL can hold; None for NaN, negative numbers and text."""
    try:
        number = value if type(value) in {int, float} else float(value)
        return number if math.isfinite(number) and number >= 0 else None
    except (TypeError, ValueError, OverflowError):
        return None


def fit_text(text: str, longest: int) -> str:
    """Return text that JSON and PostgreSQL can hold: no NUL, no half of a surrogate pair, at most so long."""
    return text[:longest].replace("\0", "").encode(errors="replace").decode()


_current_task: contextvars.ContextVar[CurrentTask | None] = contextvars.ContextVar("current_task", default=None)


@contextlib.contextmanager
def as_current_task(task: CurrentTask) -> Iterator[None]:
    """Make `report` speak for this task in this context, and in the coroutines that it starts."""
    token = _current_task.set(task)
    try:
        yield
    finally:
        _current_task.reset(token)


def with_task_context(call: Callable[P, R]) -> Callable[P, R]:
    """Return `call` for a thread of your own, in which `report` speaks for the task that called this function.

    Coroutines and `asyncio.to_thread` need no such help; `threading.Thread` and executors do.
    """
    context = contextvars.copy_context()

    @functools.wraps(call)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(call, *args, **kwargs)  # a copy each: two threads cannot be in the same one

    return inside


def current_ticket() -> str | None:
    """Return the ticket of the task that runs here, None outside of one; works in its coroutines, too.

    (Celery's `self.request` knows only the thread that began the task.)
    """
    task = _current_task.get()
    return task.task if task else None


def report(
    *,
    current: float | None = None,
    total: float | None = None,
    message: object = None,
    stage: object = None,
) -> None:
    """Tell how far the running task is; everyone who may watch it sees it live.

    `current` of `total` count whatever the task counts. `message` is a text, or a `Sentence` for a sentence of the
    catalogue; `stage` is a word. What is left out, or is no number or text, stays as it was. At most ten reports a
    second go out; the last one does, unless the task's end takes its place. Rate and time left are worked out from
    the counts. Outside a task it does nothing.

    It raises nothing, but for `Cancelled` in a task that declares `cancellable=True` and was cancelled.
    """
    task = _current_task.get()
    if task is None:
        return
    try:
        task.update(current, total, message, stage)
    except Exception as error:  # whatever the arguments were: a report must never fail the task
        logger.debug("a report was dropped: %s", type(error).__name__)
    if task.cancel_asked:
        raise Cancelled
