"""The background tasks that run in this process: their rows, their leases, and the sweep over all tasks."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from mailroom.kit.errors import MailroomError, Unavailable
from mailroom.kit.lease_renewal import LeaseRenewal
from mailroom.progress.reporter import PutReport, Report
from mailroom.progress.reports import CurrentTask
from mailroom.tasks.parents import ParentReport
from mailroom.tasks.runs import Effects, Run, TaskRuns
from mailroom.tasks.service import PublishTask
from mailroom.tasks.states import LOST, WORKER_STOPPED, Outcome, TaskState

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks for tasks that somebody wants cancelled."""
SWEEP_EVERY = 5.0
"""Seconds between two sweeps of one process."""
RECORD_WITHIN = 3.0
"""Seconds a task waits for its end to be recorded. While PostgreSQL is away it is recorded later."""


@dataclass(frozen=True, slots=True)
class LeasedTask:
    """A task that runs in this process, under a lease."""

    run: Run
    current: CurrentTask


class TaskLeases:
    """Begins, holds and ends tasks; runs in the event loop of a worker process.

    `publish` publishes the tasks that a sweep or the end of a part makes due. `put` stores reports of groups and
    chains. `queue_depth` returns how many messages wait, None if that is unknown; it may block.
    """

    def __init__(
        self,
        runs: TaskRuns,
        publish: PublishTask,
        put: PutReport,
        queue_depth: Callable[[], int | None],
    ) -> None:
        self._runs = runs
        self._publish = publish
        self._put = put
        self._queue_depth = queue_depth
        self._leases: LeaseRenewal[Run] = LeaseRenewal(runs.renew, rows="tasks")
        self._running: dict[UUID, LeasedTask] = {}
        self._recording: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._sweep_at = time.monotonic() + SWEEP_EVERY * random.random()  # noqa: S311  # not all at once

    @property
    def in_hand(self) -> int:
        """How many tasks run in this process."""
        return len(self._running)

    def start(self) -> None:
        """Begin to look for cancelled tasks and to sweep, in the running loop."""
        self._looking = asyncio.create_task(self._look(), name="task leases")

    async def begin(self, task: UUID, *, cancellable: bool, again: bool) -> LeasedTask | TaskState | None:
        """Begin a run of a task and hold its lease; or return why not, as `TaskRuns.begin` does.

        Raises `Unavailable`.
        """
        run = await self._runs.begin(task, cancellable=cancellable, again=again)
        if not isinstance(run, Run):
            return run
        current = CurrentTask(str(task), self._put, attempt=run.attempt, step=1, cancellable=cancellable)
        leased = self._running[task] = LeasedTask(run, current)
        self._leases.hold(run)
        return leased

    async def end(self, leased: LeasedTask, outcome: Outcome) -> None:
        """Record how a run ended. Returns once that is done, or after `RECORD_WITHIN`, and then goes on trying."""
        recording = asyncio.create_task(self._record(leased, outcome))
        self._recording.add(recording)
        recording.add_done_callback(self._recording.discard)
        await asyncio.wait({recording}, timeout=RECORD_WITHIN)

    async def close(self) -> None:
        """Record what still runs as lost, wait `RECORD_WITHIN` for all records, and stop."""
        if self._looking:
            self._looking.cancel()
        stopped = [
            self.end(
                leased,
                Outcome(TaskState.FAILED, reason=LOST, error=WORKER_STOPPED, **leased.current.last_report()),
            )
            for leased in list(self._running.values())
        ]
        await asyncio.gather(*stopped)
        if self._recording:
            await asyncio.wait(self._recording, timeout=RECORD_WITHIN)
        for recording in self._recording:
            recording.cancel()
        self._leases.close()

    async def _record(self, leased: LeasedTask, outcome: Outcome) -> None:
        pause = 0.2
        while True:
            try:
                self._follow(await self._runs.end(leased.run, outcome))
                break
            except Unavailable:
                await asyncio.sleep(pause)  # the lease is kept meanwhile, so that the task does not count as lost
                pause = min(pause * 2, 5.0)
            except Exception:
                logger.exception("the end of task %s is not recorded", leased.run.id)
                break
        self._leases.drop(leased.run)
        if self._running.get(leased.run.id) is leased:
            del self._running[leased.run.id]

    async def _look(self) -> None:
        away = False
        while True:
            await asyncio.sleep(LOOK_EVERY * random.uniform(0.8, 1.2))  # noqa: S311
            try:
                await self._find_cancelled()
                await self._sweep()
                away = False
            except Unavailable:
                if not away:
                    logger.warning("no look at tasks while the database is away")
                away = True
            except Exception:
                logger.exception("a look at the running tasks failed; the next one tries again")

    async def _find_cancelled(self) -> None:
        asking = [
            leased
            for leased in self._running.values()
            if leased.current.cancellable and not leased.current.cancel_asked
        ]
        if asking:
            asked = await self._runs.cancel_requested([leased.run for leased in asking])
            for leased in asking:
                leased.current.cancel_asked = leased.run.id in asked

    async def _sweep(self) -> None:
        if time.monotonic() < self._sweep_at:
            return
        self._sweep_at = time.monotonic() + SWEEP_EVERY
        depth = await asyncio.to_thread(self._queue_depth)
        self._follow(await self._runs.sweep(queue_empty=depth == 0))

    def _follow(self, effects: Effects) -> None:
        for due in effects.due:
            self._publish(due.name, due.id, due.arguments)
        for parent in effects.reports:
            self._put(_report(parent))


def _report(parent: ParentReport) -> Report:
    """Return what is stored for a group or chain, which has no run of its own that could report it."""
    progress, task = parent.progress, str(parent.task)
    known = {"current": progress.current, "total": progress.total, "rate": parent.rate, "eta": parent.eta}
    result = {key: value for key, value in known.items() if value is not None}
    result |= {"attempt": parent.attempt, "step": parent.step}
    if progress.state == TaskState.DONE:
        return Report(task, "SUCCESS", result, urgent=True)
    if progress.state == TaskState.FAILED:
        facts = progress.error.as_facts() if progress.error else {}
        kind = MailroomError
        failure = {
            "exc_type": kind.__name__,
            "exc_message": ["a part failed", facts],
            "exc_module": kind.__module__,
        }
        return Report(task, "FAILURE", failure, urgent=True)
    if progress.state == TaskState.CANCELLED:
        return Report(task, "REVOKED", result, urgent=True)
    return Report(task, str(progress.state), result)  # a group of thousands is not stored for each of its parts
