"""Reads the results of all watched tasks in batches, compares raw bytes, and decodes only those that changed.

Its loops do not wait for each other. One reads the results that are known to have changed, one reads all of them,
and one compares tasks without news with their rows. Each rests a multiple of the time it took, so that it takes a
bounded share of the process, and gives way to others between its steps. While the result backend cannot tell what
changed, all results are read more often.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from uuid import UUID

from mailroom.kit.cpu_meter import CpuMeter
from mailroom.kit.errors import Unavailable
from mailroom.progress.snapshot import NO_NEWS, Snapshot
from mailroom.progress.sources import KnownSnapshot, Results, Rows
from mailroom.progress.stored_results import from_result, merge
from mailroom.progress.subscription import Subscription

logger = logging.getLogger(__name__)

SHORTEST_REST = 0.05
LONGEST_REST = 1.0
SWEEP_EVERY = 2.0
"""Seconds between two readings of all results while the backend tells what changed: it may miss something."""
LISTEN_AGAIN = 1.0
"""Seconds until the backend is asked again to tell what changed, after it could not."""
READ_SHARE = 8
"""After reading a loop rests this many times as long as it took: at most a ninth of one core."""
COMPARE_SHARE = 30
"""The same after comparing with rows."""
BATCH = 1_000
"""Keys in one MGET, during which other users of Redis wait."""
COMPARE_BATCH = 500
"""Rows in one comparison: writing the statement takes a while."""
ASK_BATCH = 100
"""Rows that are known to have news: each becomes a snapshot, so fewer at once."""
STALE_AFTER = 2.0
"""Seconds without news until a task is compared with its row; longer while very many are watched."""
AT_ONCE = 32
"""Results decoded, or snapshots pushed, before the event loop gets to do something else: to send them."""


Work = Callable[[], Awaitable[None]]


@dataclass(slots=True, eq=False)
class WatchedTask:
    """A task that somebody watches, with its key in the result backend."""

    snapshot: Snapshot
    key: bytes
    watchers: set[Subscription] = field(default_factory=set)
    raw: bytes | None = None
    confirmed_at: float = 0.0
    """When the snapshot was last known to be true, by the monotonic clock."""
    ask_row: bool = False
    has_gap: bool = False
    """True if something happened between two polls that the timeline should show."""
    has_row: bool = False
    """True if it has a row, as a mail has: then only the row can end it, unless rows cannot be read."""
    end: Snapshot | None = None
    """The end that its result tells, until the row has been asked."""


class Poller:
    """Keeps the snapshot of every watched task true and pushes it to its watchers."""

    def __init__(self, results: Results, rows: Rows) -> None:
        self._results = results
        self._rows = rows
        self.watched: OrderedDict[UUID, WatchedTask] = OrderedDict()
        """By ticket; tasks that are longest without news come first."""
        self._by_key: dict[bytes, WatchedTask] = {}
        self.meters = [CpuMeter() for _ in range(4)]
        self._asking: dict[WatchedTask, None] = {}
        self._changed: dict[WatchedTask, None] = {}
        self._watchers, self._urgent, self._news = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._steps = 0
        self._redis_away = self._rows_away = False
        self._listens: bool | None = None

    def start(self) -> None:
        """Begin to poll, in the running loop."""
        listening, reading, sweeping, comparing = self.meters
        loops = {
            "changes": listening.run(self._listen()),
            "changed results": self._repeat(reading, self._read_changed, READ_SHARE, self._until_changed),
            "all results": self._repeat(sweeping, self._read_all, READ_SHARE, self._until_sweep),
            "rows": self._repeat(comparing, self._compare_some, COMPARE_SHARE, self._until_urgent),
        }
        self._loops = [asyncio.create_task(loop, name=name) for name, loop in loops.items()]

    async def stop(self) -> None:
        """Stop polling."""
        running = set(self._loops)
        while running:
            for task in running:
                task.cancel()  # a library may swallow one cancellation
            _, running = await asyncio.wait(running, timeout=1)

    def keep(self, watched: WatchedTask) -> WatchedTask:
        """Poll this task from now on; return the one that is polled for its ticket already, if there is one."""
        known = self.watched.setdefault(watched.snapshot.task, watched)
        self._by_key[known.key] = known
        return known

    def drop(self, watched: WatchedTask) -> None:
        """Poll this task no longer."""
        del self.watched[watched.snapshot.task], self._by_key[watched.key]

    def wake(self) -> None:
        """Poll, now that somebody watches."""
        self._watchers.set()

    async def _repeat(
        self, meter: CpuMeter, work: Work, share: int, rests: Callable[[float], Awaitable[None]]
    ) -> None:
        while True:
            if not self.watched:
                self._watchers.clear()
                await self._watchers.wait()
            before, began = meter.spent, time.monotonic()
            try:
                await meter.run(_coroutine(work))
            except Exception:
                logger.exception("a round of the poller failed; the next one tries again")
            period = began + (meter.spent - before) * (share + 1)  # waiting for an answer counts as rest
            await rests(max(SHORTEST_REST, period - time.monotonic()))

    async def _until_changed(self, rest: float) -> None:
        await asyncio.sleep(min(rest, LONGEST_REST))
        await self._news.wait()

    async def _until_sweep(self, rest: float) -> None:
        await asyncio.sleep(max(rest, SWEEP_EVERY) if self._listens else min(rest, LONGEST_REST))

    async def _until_urgent(self, rest: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(rest, LONGEST_REST)):
                await self._urgent.wait()

    # -- results

    async def _listen(self) -> None:
        """Listen for changed results; while that is not possible, all results are read more often."""
        while True:
            try:
                async for keys in self._results.changes():
                    self._listens = True
                    for watched in filter(None, map(self._by_key.get, keys)):
                        self._changed[watched] = None
                        self._news.set()
            except Exception as error:
                if self._listens is not False:
                    logger.warning("Redis does not tell what changed and is asked more often: %s", error)
            self._listens = False
            await asyncio.sleep(LISTEN_AGAIN)

    async def _read_changed(self) -> None:
        self._news.clear()
        changed = list(self._changed)
        self._changed.clear()
        for start in range(0, len(changed), BATCH):
            if not await self.read(changed[start : start + BATCH]):
                return

    async def _read_all(self) -> None:
        running = [watched for watched in self.watched.values() if not watched.snapshot.final]
        for start in range(0, len(running), BATCH):
            if not await self.read(running[start : start + BATCH]):
                return

    async def read(self, some: Sequence[WatchedTask]) -> bool:
        """Read the results of these tasks and take those whose bytes changed. False: Redis is away."""
        if not some:
            return True
        try:
            raws = await self._results.read([watched.key for watched in some])
        except Exception as error:
            if not self._redis_away:
                logger.warning("results cannot be read, the rows are asked instead: %s", type(error).__name__)
            self._redis_away = True
            return False
        self._redis_away = False
        for watched, raw in zip(some, raws, strict=True):
            if raw is not None and raw != watched.raw:
                watched.raw = raw
                await self._take_result(watched, raw)
        return True

    async def _take_result(self, watched: WatchedTask, raw: bytes) -> None:
        await self._give_way()
        old = watched.snapshot
        try:
            news = from_result(old.task, self._results.decode(raw))
        except Exception as error:
            logger.warning("a result of task %s makes no sense: %s", old.task, type(error).__name__)
            return
        if watched.has_row and (news is None or news.final):
            watched.end = news
            if self._rows_away:
                await self._take_end(watched)
            self.ask(watched)  # the end is shown when the row knows it
        elif news is not None:
            if watched.has_row and news.attempt > max(old.attempt, 1):
                watched.has_gap = True  # the end of the previous attempt may have fallen between two polls
                self.ask(watched)
            await self._take(watched, news)

    # -- rows

    def ask(self, watched: WatchedTask) -> None:
        """Ask the row of this task at once."""
        watched.ask_row = True
        self._asking[watched] = None
        self._urgent.set()

    async def _compare_some(self) -> None:
        self._urgent.clear()
        asking = [watched for watched in self._asking if watched.ask_row]
        self._asking.clear()
        for start in range(0, len(asking), ASK_BATCH):
            if not await self.compare(asking[start : start + ASK_BATCH]):
                self._asking.update(dict.fromkeys(asking[start:]))
                return
        before = time.monotonic() - STALE_AFTER
        stale = takewhile(lambda watched: watched.confirmed_at <= before, self.watched.values())
        await self.compare(list(islice(stale, COMPARE_BATCH)))

    async def compare(self, some: Sequence[WatchedTask]) -> bool:
        """Compare these tasks with their rows, and take newer states. False: the database is away."""
        if not some:
            return True
        for watched in some:
            watched.ask_row = False
        try:
            better = await self._rows([_known(watched) for watched in some])
        except Unavailable as error:
            if not self._rows_away:
                logger.warning("rows cannot be read, only results are shown: %s", error)
            self._rows_away = True
            for watched in some:
                watched.ask_row = True
                self._confirm(watched)
                await self._take_end(watched)
            return False
        self._rows_away = False
        for watched in some:
            self._confirm(watched)
            watched.has_gap = False
            if not watched.ask_row:  # otherwise the end came while rows were read
                watched.end = None
            if row := better.get(watched.snapshot.task):
                watched.has_row = True
                await self._take(watched, row, from_row=True)
            elif watched.snapshot.state == NO_NEWS:  # it has no row and no result yet
                await self._take(watched, Snapshot(watched.snapshot.task, step=-1))
        return True

    def _confirm(self, watched: WatchedTask) -> None:
        watched.confirmed_at = time.monotonic()
        if self.watched.get(watched.snapshot.task) is watched:
            self.watched.move_to_end(watched.snapshot.task)

    async def _take_end(self, watched: WatchedTask) -> None:
        """Believe the result while rows cannot be read: it was stored after the row of its mail or group."""
        end, watched.end = watched.end, None
        if end is not None:
            await self._take(watched, end)

    # -- news

    async def _take(self, watched: WatchedTask, news: Snapshot, *, from_row: bool = False) -> None:
        """Keep a snapshot if it is the newer one, and push it to the watchers."""
        old = watched.snapshot
        ends = news.final and not old.final and (not watched.has_row or self._rows_away)
        if ends or (news.attempt, news.step, news.final) >= (old.attempt, old.step, old.final):
            follow_up = news.follow_up or old.follow_up
            new = replace(news, timeline=merge(old.timeline, news.timeline), follow_up=follow_up)
            self._confirm(watched)
        elif from_row:  # the row is older, but has the whole timeline
            new = replace(old, timeline=merge(news.timeline, old.timeline))
        else:
            return
        if new == old:
            return
        watched.snapshot = new
        for subscription in tuple(watched.watchers):
            if subscription in watched.watchers:
                subscription.push(watched.snapshot)  # a newer one may have come meanwhile
            await self._give_way()

    async def _give_way(self) -> None:
        self._steps += 1
        if self._steps % AT_ONCE == 0:
            await asyncio.sleep(0)


def _known(watched: WatchedTask) -> KnownSnapshot:
    known = watched.snapshot
    return KnownSnapshot(
        known.task, known.attempt, -1 if watched.has_gap else known.step, known.final, known.follow_up
    )


async def _coroutine(work: Work) -> None:
    await work()
