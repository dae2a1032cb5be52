"""The event loop of a worker process, in a thread of its own; Celery's tasks give it coroutines to run.

It works alike under the solo, threads, prefork, gevent and eventlet pools: connections and tasks must not cross a
fork, so they are made on first use, in the process that uses them.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, Protocol, TypeVar

from mailroom.settings.stop_times import StopTimes

Result = TypeVar("Result")


class Lifecycle(Protocol):
    """Something that runs in a loop: it is made, started, stopped and closed inside it."""

    async def start(self) -> None:
        """Start the work that runs by itself."""

    async def stop(self) -> None:
        """Take on nothing new and let running work end, within a bounded time."""

    async def close(self) -> None:
        """Close everything."""


RuntimeT = TypeVar("RuntimeT", bound=Lifecycle)


class WorkerLoop(Generic[RuntimeT]):
    """The loop of this process, and the runtime that `build` makes inside it."""

    def __init__(self, build: Callable[[], RuntimeT], stop_times: StopTimes | None = None) -> None:
        self._build = build
        self._stop_times = stop_times or StopTimes.of()
        self._told_to_stop = 0.0
        self._lock = threading.Lock()
        self._pid = self._over = 0
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._runtime: RuntimeT
        self._spawned: set[asyncio.Task[None]] = set()
        self._stopping: Future[None] | None = None

    def start(self) -> RuntimeT:
        """Start the loop in this process unless it runs; return its runtime.

        Raises CancelledError after `close`: Celery's consumer may still pass on a message then, and nobody would
        wait for what a new loop does with it.
        """
        if self._pid == os.getpid():
            return self._runtime
        if self._over == os.getpid():
            raise CancelledError
        with self._lock:
            if self._pid != os.getpid():
                self._loop, self._stopping = _new_loop(), None
                self._thread = threading.Thread(target=self._loop.run_forever, name="worker-loop", daemon=True)
                self._thread.start()
                self._runtime = self._submit(self._build_and_start()).result()
                self._pid = os.getpid()
        return self._runtime

    async def _build_and_start(self) -> RuntimeT:
        runtime = self._build()
        await runtime.start()
        return runtime

    def run(self, work: Callable[[RuntimeT], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine in the loop and wait for it; the calling thread's context goes along.

        Raises RuntimeError when called from inside the loop, CancelledError after its end.
        """
        runtime = self.start()
        if threading.current_thread() is self._thread:
            raise RuntimeError("A task called from inside the event loop would wait for itself; await it instead.")
        return self._submit(work(runtime)).result()

    def spawn(self, work: Callable[[RuntimeT], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine in the loop without waiting for it; its exception is lost. After `close`: nothing."""
        try:
            runtime = self.start()
        except CancelledError:
            return
        self._loop.call_soon_threadsafe(self._keep, lambda: work(runtime))

    def _keep(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._loop.create_task(work())
        self._spawned.add(task)  # the loop itself has only weak references to tasks
        task.add_done_callback(self._spawned.discard)

    def _submit(self, coroutine: Coroutine[Any, Any, Result]) -> "Future[Result]":
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def stop(self) -> None:
        """Ask the runtime to take on nothing new and to let running work end; return at once."""
        if self._pid == os.getpid() and self._stopping is None:
            self._told_to_stop = time.monotonic()
            self._stopping = self._submit(self._runtime.stop())

    def close(self) -> None:
        """Let running work end, as long as the stop may take; close the runtime and end the loop."""
        if self._pid != os.getpid():
            return
        self.stop()
        try:
            if self._stopping:
                self._stopping.result(timeout=self._left_until(self._stop_times.recorded))
            self._submit(self._runtime.close()).result(timeout=self._left_until(self._stop_times.closed))
        except TimeoutError:
            pass
        finally:
            self._pid, self._over = 0, os.getpid()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=0.5)

    def _left_until(self, moment: float) -> float:
        return max(0.1, self._told_to_stop + moment - time.monotonic())


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop, or the standard one if threads are gevent's or eventlet's: uvloop blocks those."""
    if "gevent" in sys.modules:
        from gevent import monkey

        if monkey.is_module_patched("threading"):
            return asyncio.SelectorEventLoop()
    if "eventlet" in sys.modules:
        from eventlet import patcher

        if patcher.is_monkey_patched("thread"):
            return asyncio.SelectorEventLoop()
    try:
        import uvloop
    except ImportError:  # not on every system
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
