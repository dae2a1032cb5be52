"""The background tasks this process runs: begun and ended in their rows, their leases renewed, the rows swept."""

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from uuid import UUID

from mailroom.kit.errors import MailroomError, Unavailable
from mailroom.progress.reporter import Put, Report
from mailroom.progress.reports import Running
from mailroom.tasks.runs import Begun, Effects, TaskRuns, Told
from mailroom.tasks.service import PublishTask
from mailroom.tasks.states import LOST, Ending, TaskState

logger = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks for tasks that somebody wants cancelled."""
RENEW_EVERY = 10.0
"""Seconds between two renewals of every lease held; a lease lasts six times as long."""
SWEEP_EVERY = 5.0
"""Seconds between two sweeps of one process."""
PATIENCE = 3.0
"""Seconds a task waits for its end to be recorded; it is recorded later where PostgreSQL is away."""
STOPPED = "The worker was stopped while it worked on this."


@dataclass(frozen=True, slots=True)
class HeldTask:
    """A run in this process."""

    begun: Begun
    running: Running


class TaskLeases:
    """Lives in the loop of a worker process."""

    def __init__(self, runs: TaskRuns, publish: PublishTask, put: Put) -> None:
        self._runs = runs
        self._publish = publish
        self._put = put
        self._held: dict[UUID, HeldTask] = {}
        self._recording: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._renew_at = 0.0
        self._sweep_at = time.monotonic() + SWEEP_EVERY * random.random()  # noqa: S311  # not all at once

    def start(self) -> None:
        """Begin to renew and sweep, in the running loop."""
        self._ticking = asyncio.create_task(self._run(), name="holding")

    async def begin(self, task: UUID, *, cancellable: bool, again: bool) -> HeldTask | TaskState | None:
        """Begin a run of a task and hold it; or return why not, as `TaskRuns.begin`. Raises `Unavailable`."""
        begun = await self._runs.begin(task, cancellable=cancellable, again=again)
        if not isinstance(begun, Begun):
            return begun
        here = Running(str(task), self._put, attempt=begun.attempt, step=1, cancellable=cancellable)
        held = self._held[task] = HeldTask(begun, here)
        return held

    async def end(self, held: HeldTask, ending: Ending) -> None:
        """Record how a run ended; returns once that is done, or after `PATIENCE`, and goes on trying."""
        recording = asyncio.create_task(self._record(held, ending))
        self._recording.add(recording)
        recording.add_done_callback(self._recording.discard)
        await asyncio.wait({recording}, timeout=PATIENCE)

    async def close(self) -> None:
        """Give back what still runs as lost, and see recorded what has ended, within `PATIENCE`."""
        if self._ticking:
            self._ticking.cancel()
        lost = [
            self.end(held, Ending(TaskState.FAILED, reason=LOST, error=STOPPED, **held.running.said()))
            for held in list(self._held.values())
        ]
        await asyncio.gather(*lost)
        if self._recording:
            await asyncio.wait(self._recording, timeout=PATIENCE)
        for recording in self._recording:
            recording.cancel()

    async def _record(self, held: HeldTask, ending: Ending) -> None:
        pause = 0.2
        while True:
            try:
                self._follow(await self._runs.end(held.begun, ending))
                break
            except Unavailable:
                await asyncio.sleep(pause)  # the lease is kept meanwhile, so that nobody takes it for lost
                pause = min(pause * 2, 5.0)
            except Exception:
                logger.exception("the end of task %s is not recorded", held.begun.id)
                break
        if self._held.get(held.begun.id) is held:
            del self._held[held.begun.id]

    async def _run(self) -> None:
        away = False
        while True:
            await asyncio.sleep(TICK * random.uniform(0.8, 1.2))  # noqa: S311
            try:
                await self._tick()
                away = False
            except Unavailable:
                if not away:
                    logger.warning("leases of tasks are not renewed while the database is away")
                away = True
            except Exception:
                logger.exception("a round over the tasks held failed; the next one tries again")

    async def _tick(self) -> None:
        held, now = list(self._held.values()), time.monotonic()
        if held and now >= self._renew_at:
            self._renew_at = now + RENEW_EVERY
            await self._runs.renew([one.begun for one in held])
        if asking := [one for one in held if one.running.cancellable and not one.running.cancel_asked]:
            asked = await self._runs.asked_to_stop([one.begun for one in asking])
            for one in asking:
                one.running.cancel_asked = one.begun.id in asked
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY
            self._follow(await self._runs.sweep())

    def _follow(self, aftermath: Effects) -> None:
        for due in aftermath.due:
            self._publish(due.name, due.id, due.arguments)
        for told in aftermath.told:
            self._put(_report(told))


def _report(told: Told) -> Report:
    """Return what is stored for a group or chain, which has no run of its own to report it."""
    whole = told.whole
    known = {"current": whole.current, "total": whole.total, "rate": told.rate, "eta": told.eta}
    result = {key: value for key, value in known.items() if value is not None}
    result |= {"attempt": told.attempt, "step": told.step}
    if whole.state == TaskState.DONE:
        return Report(str(told.task), "SUCCESS", result, urgent=True)
    if whole.state == TaskState.FAILED:
        failure = {
            "exc_type": MailroomError.__name__,
            "exc_message": [whole.error],
            "exc_module": MailroomError.__module__,
        }
        return Report(str(told.task), "FAILURE", failure, urgent=True)
    state = "REVOKED" if whole.state == TaskState.CANCELLED else str(whole.state)
    return Report(str(told.task), state, result, urgent=True)
