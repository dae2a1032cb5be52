"""From a running task to the result backend: the last report of each task waits, and one thread stores them.

The caller never waits: a Redis that is slow, frozen or gone costs the task nothing. The last report is stored as
soon as Redis takes it. It is dropped if the task's end (`forget`) or the end of the process comes first. If more
than `MOST_WAITING` tasks wait for Redis, the longest waiting one is dropped. The rows have what is lost here.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

SHORTEST_GAP = 0.1
"""Seconds between two writes for one task, unless a report is urgent."""
MOST_WAITING = 10_000
"""Tasks whose last report is kept while Redis is away; the others have their rows."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be stored for a task, by Celery's id: a state (Celery's or ours) and a result fit for JSON.

    A `result` that is callable is called when the report is stored, so that it is the newest. Reports that are not
    `urgent` are stored ten times a second at most. Any report waits `wait` seconds for a newer one, and `company`
    seconds to be stored together with others.
    """

    task: str
    state: str
    result: Any
    urgent: bool = False
    wait: float = 0.0
    company: float = 0.0


PutReport = Callable[[Report], None]
"""Store a report soon. Never blocks, never raises."""


class Reporter:
    """Takes reports from any thread and stores them in batches through `store`."""

    def __init__(self, store: Callable[[Sequence[Report]], None]) -> None:
        self._store = store
        self._waiting: dict[str, tuple[float, Report]] = {}  # each with when it is due
        self._asleep_until = 0.0
        self._written: dict[str, float] = {}
        self._writing: frozenset[str] = frozenset()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def put(self, report: Report) -> None:
        """Store `report` soon, in place of one that still waits for its task. Never blocks, never raises."""
        with self._changed:
            due = self._due(report)
            if report.task in self._waiting:
                due = min(due, self._waiting[report.task][0])
            elif len(self._waiting) >= MOST_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
            self._waiting[report.task] = (due, report)
            if self._thread is None:
                self._thread = threading.Thread(target=self._drain, name="reporter", daemon=True)
                self._thread.start()
            if due < self._asleep_until:
                self._changed.notify_all()

    def forget(self, task: str, timeout: float = 2.0) -> None:
        """Store nothing more for `task`: its end is about to be stored. Waits for a write that has begun."""
        with self._changed:
            self._waiting.pop(task, None)
            self._written.pop(task, None)
            self._changed.wait_for(lambda: task not in self._writing, timeout)
            self._waiting.pop(task, None)  # a write that failed has put its report back

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until everything is stored; False if that took longer than `timeout` seconds."""
        with self._changed:
            self._waiting = {task: (0.0, report) for task, (_, report) in self._waiting.items()}
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._waiting and not self._writing, timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Flush and end the thread."""
        self.flush(timeout)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _drain(self) -> None:
        pause = 0.1
        while batch := self._take():
            try:
                if ready := [now for report in batch if (now := _now(report))]:
                    self._store(ready)
                pause = 0.1
            except Exception as error:
                logger.warning(
                    "progress of %d tasks not stored, trying again: %s", len(batch), type(error).__name__
                )
                self._put_back(batch)
                time.sleep(pause)
                pause = min(pause * 2, 2.0)
            with self._changed:
                self._writing = frozenset()
                self._changed.notify_all()

    def _take(self) -> list[Report]:
        """Wait for reports whose time has come and take them; nothing once closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if any(at <= now for at, _ in self._waiting.values()):
                    due = [report for at, report in self._waiting.values() if at - report.company <= now]
                    for report in due:
                        del self._waiting[report.task]
                        self._written[report.task] = now
                    self._writing = frozenset(report.task for report in due)
                    self._forget_old(now)
                    self._asleep_until = 0.0
                    return due
                self._asleep_until = min((at for at, _ in self._waiting.values()), default=math.inf)
                self._changed.wait(None if self._asleep_until == math.inf else self._asleep_until - now)
        return []

    def _due(self, report: Report) -> float:
        earliest = time.monotonic() + report.wait + report.company
        return earliest if report.urgent else max(earliest, self._written.get(report.task, 0.0) + SHORTEST_GAP)

    def _forget_old(self, now: float) -> None:
        if len(self._written) > MOST_WAITING:
            self._written = {task: at for task, at in self._written.items() if now - at < SHORTEST_GAP}

    def _put_back(self, batch: Sequence[Report]) -> None:
        with self._changed:
            if not self._closed:
                waiting = {report.task: (0.0, report) for report in batch} | self._waiting
                self._waiting = dict(list(waiting.items())[-MOST_WAITING:])


def _now(report: Report) -> Report | None:
    """Return the report with its result; None if making it raises: another try would raise as well."""
    if not callable(report.result):
        return report
    try:
        return Report(report.task, report.state, report.result())
    except Exception as error:
        logger.warning("a report of %s was dropped: %s", report.task, type(error).__name__)
        return None
