"""One poller in each web process: asks the result backend for every watched task at once and fans out changes.

The cost follows the tasks watched, never the watchers. Raw bytes are compared and only changes decoded. A
task whose result stands still is compared with its row, so that a flushed, frozen or stale Redis never shows
a lie for long: the row is the truth.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mailroom.kit.errors import Unavailable
from mailroom.progress.events import CELERY_STATES, FINAL, Snapshot

logger = logging.getLogger(__name__)

SHORTEST_INTERVAL = 0.1
LONGEST_INTERVAL = 1.0
SHARE = 12
"""A poll is followed by a rest of this many times its own length, so that it takes a bounded share."""
BATCH = 1_000
"""Keys in one MGET: at most so many keep other users of Redis waiting."""
STALE_AFTER = 2.0
"""Seconds without news until a task is compared with its row."""


class Results(Protocol):
    """The result backend, as Celery writes it."""

    async def read(self, tasks: Sequence[str]) -> Sequence[bytes | None]:
        """Return the stored bytes of each task's result, in one round trip."""

    def decode(self, raw: bytes) -> Mapping[str, Any]:
        """Return Celery's meta of a stored result: `status` and `result` at least."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a watcher has been told of a task, to ask the rows whether they know better."""

    task: str
    attempt: int
    step: int
    final: bool
    afterword: str | None


Rows = Callable[[Sequence[Known]], Awaitable[Mapping[str, Snapshot]]]
"""Given what is known, returns the snapshots of those rows that know better (all of them for a step of -1)."""


@dataclass(slots=True)
class Watched:
    """A task that somebody watches."""

    snapshot: Snapshot
    watchers: set["Subscription"] = field(default_factory=set)
    raw: bytes | None = None
    fresh: float = 0.0
    """When it was last known to be true, by the monotonic clock."""
    ask_row: bool = False
    has_row: bool = False
    """True where a row of its own tells of it, as of a mail: then only the row can end it."""


class Subscription:
    """One watcher's stream: for each task only the newest snapshot waits, however slow the watcher."""

    def __init__(self, watching: "Watching") -> None:
        self._watching = watching
        self._news: dict[str, Snapshot] = {}
        self._event = asyncio.Event()
        self._closed = False
        self.tasks: set[str] = set()

    def tell(self, snapshot: Snapshot) -> None:
        """Put a snapshot in place of an older one of the same task."""
        self._news[snapshot.task] = snapshot
        self._event.set()

    async def watch(self, tasks: Iterable[str]) -> None:
        """Watch these tasks too: a snapshot of each first, then its changes. The caller checks who may."""
        await self._watching.add(self, [task for task in tasks if task not in self.tasks])

    def unwatch(self, tasks: Iterable[str]) -> None:
        """Watch these no longer."""
        for task in tasks:
            self._news.pop(task, None)
            self._watching.remove(self, task)

    def close(self) -> None:
        """Watch nothing any more and end the stream."""
        self.unwatch(list(self.tasks))
        self._closed = True
        self._event.set()

    async def __aiter__(self) -> AsyncIterator[Snapshot]:
        """Yield snapshots as they come, until closed."""
        while True:
            await self._event.wait()
            self._event.clear()
            while self._news:
                yield self._news.pop(next(iter(self._news)))
            if self._closed:
                return


class Watching:
    """Everything watched through this process."""

    def __init__(self, results: Results, rows: Rows) -> None:
        self._results = results
        self._rows = rows
        self._watched: dict[str, Watched] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._redis_away = False
        self._rows_away = False

    @property
    def watched(self) -> int:
        """How many tasks are watched."""
        return len(self._watched)

    def subscribe(self) -> Subscription:
        """Return a new stream that watches nothing yet."""
        return Subscription(self)

    async def snapshot(self, task: str) -> Snapshot | None:
        """Return where a task is now; None where nothing knows of it."""
        watched = self._watched.get(task)
        if watched and not watched.ask_row and time.monotonic() - watched.fresh < SHORTEST_INTERVAL:
            return watched.snapshot
        alone = Watched(Snapshot(task, step=-1))
        await self._refresh({task: alone})
        return alone.snapshot if alone.snapshot.step >= 0 else None

    # -- who watches what

    async def add(self, subscription: Subscription, tasks: Sequence[str]) -> None:
        """Have `subscription` told of these tasks, beginning with where they are."""
        new = {task: Watched(Snapshot(task, step=-1)) for task in tasks if task not in self._watched}
        if new:
            await self._refresh(new)
        for task in tasks:
            fallback = new.get(task) or Watched(Snapshot(task, step=-1), ask_row=True)
            watched = self._watched.setdefault(task, fallback)
            watched.watchers.add(subscription)
            subscription.tasks.add(task)
            subscription.tell(watched.snapshot)
        self._wake.set()

    def remove(self, subscription: Subscription, task: str) -> None:
        """Have it told no longer; a task that nobody watches is dropped."""
        subscription.tasks.discard(task)
        if watched := self._watched.get(task):
            watched.watchers.discard(subscription)
            if not watched.watchers:
                del self._watched[task]

    # -- the poller

    def start(self) -> None:
        """Begin to poll, in the running loop."""
        self._task = asyncio.create_task(self._poll(), name="poller")

    async def stop(self) -> None:
        """Stop polling."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _poll(self) -> None:
        while True:
            if not self._watched:
                self._wake.clear()
                await self._wake.wait()
            began = time.thread_time()  # its own work, not the waiting for an answer on a busy machine
            try:
                await self._round()
            except Exception:
                logger.exception("a round of the poller failed; the next one tries again")
            cost = time.thread_time() - began
            await asyncio.sleep(min(max(SHORTEST_INTERVAL, cost * SHARE), LONGEST_INTERVAL))

    async def _round(self) -> None:
        running = [(task, watched) for task, watched in self._watched.items() if not watched.snapshot.final]
        for start in range(0, len(running), BATCH):
            await self._read(dict(running[start : start + BATCH]))
        stale = time.monotonic() - STALE_AFTER
        ask = [
            (task, watched) for task, watched in self._watched.items() if watched.ask_row or watched.fresh <= stale
        ]
        for start in range(0, len(ask), BATCH):
            await self._compare(dict(ask[start : start + BATCH]))

    async def _refresh(self, some: dict[str, Watched]) -> None:
        await self._compare(some)
        await self._read({task: watched for task, watched in some.items() if not watched.snapshot.final})
        if asking := {task: watched for task, watched in some.items() if watched.ask_row}:
            await self._compare(asking)

    async def _read(self, some: dict[str, Watched]) -> None:
        """Take what Redis says of these tasks; only changed bytes are looked at."""
        if not some:
            return
        try:
            raws = await self._results.read(list(some))
        except Exception as error:
            if not self._redis_away:
                logger.warning("results cannot be read, the rows are asked instead: %s", type(error).__name__)
            self._redis_away = True
            return
        self._redis_away = False
        for watched, raw in zip(some.values(), raws, strict=True):
            if raw is not None and raw != watched.raw:
                watched.raw = raw
                self._take_result(watched, raw)

    def _take_result(self, watched: Watched, raw: bytes) -> None:
        try:
            meta = self._results.decode(raw)
            told = from_result(watched.snapshot.task, meta)
        except Exception as error:
            logger.warning("a result of task %s makes no sense: %s", watched.snapshot.task, type(error).__name__)
            return
        if watched.has_row and (told is None or told.final):
            watched.ask_row = True  # the end is shown when the row knows it
        elif told is not None:
            self._take(watched, told)

    async def _compare(self, some: dict[str, Watched]) -> None:
        """Ask the rows of these tasks whether they know better."""
        known = [
            Known(task, told.attempt, told.step, told.final, told.afterword)
            for task, told in ((task, watched.snapshot) for task, watched in some.items())
        ]
        now = time.monotonic()
        try:
            better = await self._rows(known)
            self._rows_away = False
        except Unavailable as error:
            if not self._rows_away:
                logger.warning("rows cannot be read, only results are shown: %s", error)
            self._rows_away = True
            for watched in some.values():
                watched.fresh = now
            return
        for task, watched in some.items():
            watched.fresh, watched.ask_row = now, False
            if row := better.get(task):
                watched.has_row = True
                self._take(watched, row)

    def _take(self, watched: Watched, told: Snapshot) -> None:
        """Take a snapshot for the newer one if it is, and tell the watchers."""
        old = watched.snapshot
        ends = told.final and not old.final and not watched.has_row
        if not ends and (told.attempt, told.step, told.final) < (old.attempt, old.step, old.final):
            return
        merged = replace(
            told,
            timeline=merge(old.timeline, told.timeline),
            afterword=told.afterword or old.afterword,
        )
        watched.fresh = time.monotonic()
        if merged == old:
            return
        watched.snapshot = merged
        for subscription in watched.watchers:
            subscription.tell(merged)


def merge(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return both timelines as one, in the order of attempts and times; of the same moment the newer word."""
    moments = {(moment["attempt"], moment["stage"]): moment for moment in (*old, *new)}
    return tuple(sorted(moments.values(), key=lambda moment: (moment["attempt"], moment["at"])))


def from_result(task: str, meta: Mapping[str, Any]) -> Snapshot | None:
    """Return what a stored Celery result says, in our words; None where it says nothing about progress.

    The return value of a task is its own business and is not shown; of a failed one, the message is.
    """
    status, result = meta["status"], meta.get("result")
    told = result if isinstance(result, Mapping) and "step" in result else {}
    state = str(told.get("state") or CELERY_STATES.get(status, status))
    if not told and state not in FINAL:
        return Snapshot(task, state=state) if state != "queued" else None
    error = {"message": str(result)} if isinstance(result, Exception) else None
    names = ("stage", "message", "current", "total", "rate", "eta", "retry_at")
    return Snapshot(
        task=task,
        state=state,
        attempt=int(told.get("attempt", 0)),
        step=int(told.get("step", 0)),
        error=told.get("error", error),
        timeline=tuple(told.get("timeline", ())),
        final=bool(told.get("final", state in FINAL)),
        **{name: told[name] for name in names if name in told},
    )
