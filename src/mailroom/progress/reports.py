"""`report()`: what a running task says of itself, on its way to the result backend."""

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
from mailroom.progress.reporter import Put, Report

logger = logging.getLogger(__name__)

LONGEST_TEXT = 500
"""Characters of a message or stage that are kept."""
PUT_AGAIN = 1.0
"""Seconds after which a report that still waits is put once more: the reporter may have had to drop it."""

P = ParamSpec("P")
R = TypeVar("R")


class Cancelled(BaseException):
    """Whoever began this task has cancelled it. Raised by `report()`, in tasks that declare `cancellable=True`.

    No `Exception`, so that a task's own `except Exception` does not take it for trouble of its work.
    """


class Running:
    """The task that runs here, and how far it says it is. Its threads and coroutines share one."""

    def __init__(self, task: str, put: Put, *, attempt: int = 0, step: int = 0, cancellable: bool = False) -> None:
        self.task = task
        self.attempt = attempt
        self.cancellable = cancellable
        self.cancel_asked = False
        """True once `report` is to raise `Cancelled`."""
        self._put = put
        self._step = step
        self._said: dict[str, Any] = {}
        self._pace = ProgressRate()
        self._lock = threading.Lock()
        self._waits_since: float | None = None

    def say(self, current: object, total: object, message: object, stage: object) -> None:
        """Note what is known now, and have it stored soon. Cheap while an earlier report still waits."""
        now, said = time.monotonic(), self._said
        with self._lock:
            for name, number in (("current", current), ("total", total)):
                if number is not None and (fit := _number(number)) is not None:
                    said[name] = fit
            for name, words in (("message", message), ("stage", stage)):
                if words is not None:
                    said[name] = words if isinstance(words, str) else str(words)
            self._step += 1
            if current is not None and "current" in said:
                self._pace.add(now, said["current"], said.get("total"))
            if self._waits_since is not None and now - self._waits_since < PUT_AGAIN:
                return  # it takes along what was just noted
            self._waits_since = now
        self._put(Report(self.task, "running", self.told))

    def told(self) -> dict[str, Any]:
        """Return all that was said, as it is stored."""
        with self._lock:
            self._waits_since = None
            willing = self.cancellable and not self.cancel_asked
            more = {"rate": self._pace.rate, "eta": self._pace.eta, "cancellable": willing or None}
            known = {key: value for key, value in more.items() if value is not None}
            return {**self._cleaned(), **known, "attempt": self.attempt, "step": self._step}

    def said(self) -> dict[str, Any]:
        """Return what was said last of `current`, `total`, `message` and `stage`, and the `step`."""
        with self._lock:
            return {**self._cleaned(), "step": self._step}

    def _cleaned(self) -> dict[str, Any]:
        return {
            key: fit_text(value, LONGEST_TEXT) if isinstance(value, str) else value
            for key, value in self._said.items()
        }


def _number(value: Any) -> float | None:
    """Return a count that JSON and PostgreSQL can hold; None for what is none (NaN, negative, text)."""
    try:
        number = value if type(value) in {int, float} else float(value)
        return number if math.isfinite(number) and number >= 0 else None
    except (TypeError, ValueError, OverflowError):
        return None


def fit_text(text: str, longest: int) -> str:
    """Return text that JSON and PostgreSQL can hold: no NUL, no half of a surrogate pair, at most so long."""
    return text[:longest].replace("\0", "").encode(errors="replace").decode()


_running: contextvars.ContextVar[Running | None] = contextvars.ContextVar("running_task", default=None)


@contextlib.contextmanager
def running(here: Running) -> Iterator[None]:
    """Make `report` speak for this task in this context, and in the coroutines begun from it."""
    token = _running.set(here)
    try:
        yield
    finally:
        _running.reset(token)


def with_task_context(call: Callable[P, R]) -> Callable[P, R]:
    """Return `call` for a thread of one's own, in which `report` speaks for the task that made it.

    Coroutines and `asyncio.to_thread` need no such help; `threading.Thread` and executors do.
    """
    context = contextvars.copy_context()

    @functools.wraps(call)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(call, *args, **kwargs)  # a copy each: two threads cannot be in the same one

    return inside


def current_ticket() -> str | None:
    """Return the ticket of the task that runs here, None outside of one; also in its coroutines.

    (Celery's `self.request` knows only the thread that began the task.)
    """
    here = _running.get()
    return here.task if here else None


def report(
    *,
    current: float | None = None,
    total: float | None = None,
    message: object = None,
    stage: object = None,
) -> None:
    """Say how far the running task is; anyone who may watch it sees it live.

    `current` of `total` in whatever the task counts; `message` and `stage` in words. What is left out, or is no
    number or text, stays as it was. At most ten a second go out; the last one does unless the task's end takes its
    place. Rate and time left are worked out from it. Outside a task it does nothing.

    Never raises, but for one: `Cancelled`, in a task that declares `cancellable=True` and was cancelled.
    """
    here = _running.get()
    if here is None:
        return
    try:
        here.say(current, total, message, stage)
    except Exception as error:  # whatever it was given: the task's work is worth more than a word about it
        logger.debug("a report was dropped: %s", type(error).__name__)
    if here.cancel_asked:
        raise Cancelled
