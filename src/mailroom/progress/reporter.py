"""From a running task to the result backend: one slot a task, the latest value wins, one thread drains.

The caller never waits: a Redis that is slow, frozen or gone costs the task nothing. What was reported last goes
out as soon as Redis takes it, unless the task's end comes first (`forget`), the process ends first, or more than
`MOST_SLOTS` tasks wait for Redis: then the one that waits longest is given up. The rows tell what is lost here.
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
MOST_SLOTS = 10_000
"""Tasks whose last value is kept while Redis is away; the rows know of the others."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be stored for a task: a state (Celery's word or ours) and a result fit for JSON.

    A `result` that can be called is called when its time has come to be stored: then it is the newest. An
    `urgent` report is not held to the pace; it waits `wait` seconds for a newer one, and `company` seconds to be
    stored along with others.
    """

    task: str
    state: str
    result: Any
    urgent: bool = False
    wait: float = 0.0
    company: float = 0.0


PutReport = Callable[[Report], None]
"""Have a report stored soon. Never blocks, never raises."""


class Reporter:
    """Takes reports from any thread and stores them in batches through `store`."""

    def __init__(self, store: Callable[[Sequence[Report]], None]) -> None:
        self._store = store
        self._slots: dict[str, tuple[float, Report]] = {}  # each with when it is due
        self._asleep_until = 0.0
        self._written: dict[str, float] = {}
        self._writing: frozenset[str] = frozenset()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def put(self, report: Report) -> None:
        """Have `report` stored soon, in place of what still waits for its task. Never blocks, never raises."""
        with self._changed:
            due = self._due(report)
            if report.task in self._slots:
                due = min(due, self._slots[report.task][0])
            elif len(self._slots) >= MOST_SLOTS:
                self._slots.pop(next(iter(self._slots)))
            self._slots[report.task] = (due, report)
            if self._thread is None:
                self._thread = threading.Thread(target=self._drain, name="reporter", daemon=True)
                self._thread.start()
            if due < self._asleep_until:
                self._changed.notify_all()

    def forget(self, task: str, timeout: float = 2.0) -> None:
        """Store nothing more for `task`: its end is about to be stored. Waits for a write under way."""
        with self._changed:
            self._slots.pop(task, None)
            self._written.pop(task, None)
            self._changed.wait_for(lambda: task not in self._writing, timeout)
            self._slots.pop(task, None)  # a write that failed has put its report back

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until everything is stored; False where that took longer than `timeout` seconds."""
        with self._changed:
            self._slots = {task: (0.0, report) for task, (_, report) in self._slots.items()}
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._slots and not self._writing, timeout)

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
                if told := [now for report in batch if (now := _now(report))]:
                    self._store(told)
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
                if any(at <= now for at, _ in self._slots.values()):
                    due = [report for at, report in self._slots.values() if at - report.company <= now]
                    for report in due:
                        del self._slots[report.task]
                        self._written[report.task] = now
                    self._writing = frozenset(report.task for report in due)
                    self._forget_old(now)
                    self._asleep_until = 0.0
                    return due
                self._asleep_until = min((at for at, _ in self._slots.values()), default=math.inf)
                self._changed.wait(None if self._asleep_until == math.inf else self._asleep_until - now)
        return []

    def _due(self, report: Report) -> float:
        earliest = time.monotonic() + report.wait + report.company
        return earliest if report.urgent else max(earliest, self._written.get(report.task, 0.0) + SHORTEST_GAP)

    def _forget_old(self, now: float) -> None:
        if len(self._written) > MOST_SLOTS:
            self._written = {task: at for task, at in self._written.items() if now - at < SHORTEST_GAP}

    def _put_back(self, batch: Sequence[Report]) -> None:
        with self._changed:
            if not self._closed:
                slots = {report.task: (0.0, report) for report in batch} | self._slots  # the newer of a task's two
                self._slots = dict(list(slots.items())[-MOST_SLOTS:])


def _now(report: Report) -> Report | None:
    """Put the report together; None where that raises: another try would raise as well."""
    if not callable(report.result):
        return report
    try:
        return Report(report.task, report.state, report.result())
    except Exception as error:
        logger.warning("a report of %s was dropped: %s", report.task, type(error).__name__)
        return None
