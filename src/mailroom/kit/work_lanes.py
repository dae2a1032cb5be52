"""Work for threads in lanes: each lane has a queue of its own, bounded by time, and all share the threads."""

import asyncio
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from math import ceil
from typing import TypeVar

from mailroom.kit.errors import Overloaded

Result = TypeVar("Result")

LONGEST_WAIT = 2.0
"""Seconds that work may wait for a thread."""
FIRST_GUESS = 0.05
"""Seconds that a piece of work is taken to last before any has been measured."""
NICER = 10
"""By how much the threads are nicer than the event loop."""
SMOOTHING = 0.1
"""How much one measurement moves the estimate."""


def _step_back() -> None:
    """Give the event loop, which refuses what has no room, priority over this thread (Linux: a thread's niceness).

    The gain while 400 people sign up at once (`python -m benchmarks.overload`): /healthz takes at most 0.3 to
    0.8 s instead of 0.8 to 1.4 s, and a sign-in 0.2 s in the median instead of 0.4 s.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICER)


class WorkLanes:
    """A pool of threads, and for each lane a queue of the work that waits for one. Used in one event loop.

    A free thread serves the lanes in turn, so a crowd in one lane does not hold up another. Work that would wait
    for longer than `longest_wait` is refused at once, before it costs anything. A caller that is cancelled
    while waiting leaves the queue, and its work is never done.
    """

    def __init__(
        self, lanes: Sequence[str], *, threads: int, name: str, longest_wait: float = LONGEST_WAIT
    ) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_step_back)
        self._threads = self._free = threads
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {lane: deque() for lane in lanes}
        self._announced = dict.fromkeys(lanes, 0)
        self._turns = deque(lanes)
        self._longest_wait = longest_wait
        self._seconds_each = FIRST_GUESS

    async def run(self, lane: str, call: Callable[..., Result], *arguments: object) -> Result:
        """Return what `call` returns in a thread. Raises `Overloaded` if its turn would not come in time."""
        await self._have_turn(lane)
        loop = asyncio.get_running_loop()
        began = time.monotonic()

        def end(_: "Future[Result]") -> None:
            with suppress(RuntimeError):  # the loop has ended before its threads
                loop.call_soon_threadsafe(self._end, time.monotonic() - began)

        work = self._executor.submit(call, *arguments)
        work.add_done_callback(end)  # also if nobody waits for the result any more
        return await asyncio.wrap_future(work)

    @contextmanager
    def place(self, lane: str) -> Iterator[None]:
        """Count as waiting during the block, which prepares the work. Raises `Overloaded` as `run` does.

        Otherwise many that come at once would all find the queue empty, and prepare work that has no room.
        """
        self._check_room(lane)
        self._announced[lane] += 1
        try:
            yield
        finally:
            self._announced[lane] -= 1

    def _check_room(self, lane: str) -> None:
        if (wait := self._expected_wait(lane)) > self._longest_wait:
            raise Overloaded(ceil(wait))

    def close(self) -> None:
        """End the threads once they have finished what they do."""
        self._executor.shutdown(wait=False)

    async def _have_turn(self, lane: str) -> None:
        if self._free:
            self._free -= 1
            return
        self._check_room(lane)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(turn)
        try:
            await asyncio.wait([turn], timeout=self._longest_wait)
        except asyncio.CancelledError:
            self._leave(lane, turn)
            raise
        if not turn.done():
            self._leave(lane, turn)
            raise Overloaded(ceil(self._expected_wait(lane)))

    def _leave(self, lane: str, turn: "asyncio.Future[None]") -> None:
        if turn.done():  # its turn came at the same moment: the next one gets it
            self._give_turn()
        else:
            self._waiting[lane].remove(turn)

    def _end(self, seconds: float) -> None:
        self._seconds_each += (seconds - self._seconds_each) * SMOOTHING
        self._give_turn()

    def _give_turn(self) -> None:
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            self._turns.rotate(-1)
            if self._waiting[lane]:
                self._waiting[lane].popleft().set_result(None)
                return
        self._free += 1

    def _expected_wait(self, lane: str) -> float:
        ahead = len(self._waiting[lane]) + self._announced[lane] + 1 - self._free
        busy = sum(1 for other, queue in self._waiting.items() if queue and other != lane)
        return ahead * (1 + busy) * self._seconds_each / self._threads
