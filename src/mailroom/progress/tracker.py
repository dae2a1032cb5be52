"""Everything watched through one web process: one poller, any number of watchers.

The cost grows with the tasks that are watched, not with the watchers. A task whose result does not change is
compared with its row, which is authoritative: a flushed, frozen or stale Redis is noticed within seconds.
"""

import time
from collections.abc import Sequence
from uuid import UUID

from mailroom.kit.coalescer import Coalescer
from mailroom.kit.errors import Unavailable
from mailroom.progress.poller import ASK_BATCH, SHORTEST_REST, Poller, WatchedTask
from mailroom.progress.snapshot import NO_NEWS, Snapshot
from mailroom.progress.sources import Results, Rows
from mailroom.progress.subscription import Subscription


class Tracker:
    """Who watches what; the poller pushes the news."""

    def __init__(self, results: Results, rows: Rows) -> None:
        self._key_of = results.key_of
        self._poller = Poller(results, rows)
        self._looked_up: Coalescer[Sequence[WatchedTask], None] = Coalescer(self._look_up)

    def start(self) -> None:
        """Begin to poll, in the running loop."""
        self._poller.start()

    async def stop(self) -> None:
        """Stop polling."""
        await self._poller.stop()

    @property
    def watched(self) -> int:
        """How many tasks are watched."""
        return len(self._poller.watched)

    @property
    def longest_step(self) -> float:
        """Seconds of processor time of the poller's longest step so far, in which it blocked the event loop."""
        return max(meter.longest for meter in self._poller.meters)

    @property
    def spent(self) -> float:
        """Seconds of processor time that the poller took so far."""
        return sum(meter.spent for meter in self._poller.meters)

    def subscribe(self) -> Subscription:
        """Return a new stream that watches nothing yet."""
        return Subscription(self)

    async def snapshot(self, task: UUID) -> Snapshot | None:
        """Return where a task is now; None if nothing knows of it.

        Raises `Unavailable` if neither its row nor its result can be read.
        """
        watched = self._poller.watched.get(task)
        if watched and not watched.ask_row and time.monotonic() - watched.confirmed_at < SHORTEST_REST:
            return watched.snapshot
        alone = self._new(task)
        await self._looked_up.run([alone])
        if alone.snapshot.state == NO_NEWS:
            raise Unavailable
        return alone.snapshot if alone.snapshot.step >= 0 else None

    async def add(self, subscription: Subscription, tasks: Sequence[UUID]) -> None:
        """Push snapshots of these tasks to `subscription`, first their current ones, or `NO_NEWS`."""
        known = self._poller.watched
        new = {task: self._new(task) for task in tasks if task not in known}
        if new:
            await self._looked_up.run(list(new.values()))
        if subscription.closed:
            return  # the watcher left meanwhile
        for task in tasks:
            watched = known.get(task) or new.get(task)
            if watched is None:  # its last watcher left just now
                watched = self._new(task)
                self._poller.ask(watched)
            self._poller.keep(watched).watchers.add(subscription)
            subscription.tasks.add(task)
            subscription.push(watched.snapshot)
        self._poller.wake()

    def push_again(self, subscription: Subscription, task: UUID) -> None:
        """Push the snapshot of a task that it watches once more."""
        watched = self._poller.watched.get(task)
        if watched and subscription in watched.watchers:
            subscription.push(watched.snapshot)

    def remove(self, subscription: Subscription, task: UUID) -> None:
        """Stop pushing this task to it; a task without watchers is dropped."""
        subscription.tasks.discard(task)
        if watched := self._poller.watched.get(task):
            watched.watchers.discard(subscription)
            if not watched.watchers:
                self._poller.drop(watched)

    def _new(self, task: UUID) -> WatchedTask:
        return WatchedTask(Snapshot(task, NO_NEWS, step=-1), self._key_of(task))

    async def _look_up(self, calls: Sequence[Sequence[WatchedTask]]) -> Sequence[None]:
        """Look up the snapshots of these tasks; calls that come together share their queries."""
        together = [watched for some in calls for watched in some]
        for start in range(0, len(together), ASK_BATCH):
            some = together[start : start + ASK_BATCH]
            await self._poller.compare(some)
            await self._poller.read([watched for watched in some if not watched.snapshot.final])
            await self._poller.compare([watched for watched in some if watched.ask_row])
        return [None] * len(calls)
