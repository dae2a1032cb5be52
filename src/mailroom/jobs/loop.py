"""One event loop a worker process, in a thread of its own; Celery's tasks hand it coroutines.

Works alike under the solo, threads, prefork, gevent and eventlet pools: whatever must not cross a fork is
made on first use in the process that uses it.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, Protocol, TypeVar

Result = TypeVar("Result")


class Closing(Protocol):
    """What lives in a loop: made inside it, stopped and closed inside it."""

    async def start(self) -> None:
        """Begin what runs by itself."""

    async def stop(self) -> None:
        """Take on nothing new and let what runs end, within a bounded time."""

    async def close(self) -> None:
        """Close everything."""


Living = TypeVar("Living", bound=Closing)


class WorkerLoop(Generic[Living]):
    """The loop of this process, and what `build` made to live in it."""

    def __init__(self, build: Callable[[], Living]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._pid = self._over = 0
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._living: Living
        self._begun: set[asyncio.Task[None]] = set()
        self._stopping: Future[None] | None = None

    def start(self) -> Living:
        """Start the loop in this process unless it runs; return what lives in it.

        Raises CancelledError where it has been closed: Celery's consumer may still pass something on then, and
        a new loop would carry mails that nobody waits for.
        """
        if self._pid == os.getpid():
            return self._living
        if self._over == os.getpid():
            raise CancelledError
        with self._lock:
            if self._pid != os.getpid():
                self._loop, self._stopping = _new_loop(), None
                self._thread = threading.Thread(target=self._loop.run_forever, name="worker-loop", daemon=True)
                self._thread.start()
                self._living = self._submit(self._begin()).result()
                self._pid = os.getpid()
        return self._living

    async def _begin(self) -> Living:
        living = self._build()
        await living.start()
        return living

    def run(self, work: Callable[[Living], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine in the loop and wait for it; the calling thread's context goes along.

        Raises RuntimeError when called from inside the loop, CancelledError after its end.
        """
        living = self.start()
        if threading.current_thread() is self._thread:
            raise RuntimeError("A task called from inside the event loop would wait for itself; await it instead.")
        return self._submit(work(living)).result()

    def begin(self, work: Callable[[Living], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine in the loop without waiting for it; what it raises is lost. None runs after its end."""
        try:
            living = self.start()
        except CancelledError:
            return
        self._loop.call_soon_threadsafe(self._keep, lambda: work(living))

    def _keep(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._loop.create_task(work())
        self._begun.add(task)  # the loop alone holds tasks weakly
        task.add_done_callback(self._begun.discard)

    def _submit(self, coroutine: Coroutine[Any, Any, Result]) -> "Future[Result]":
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def stop(self) -> None:
        """Ask what lives here to take on nothing new and to let what runs end; returns at once."""
        if self._pid == os.getpid() and self._stopping is None:
            self._stopping = self._submit(self._living.stop())

    def close(self) -> None:
        """Let what runs end, within the bounded time of its stop; close what lives here and end the loop."""
        if self._pid != os.getpid():
            return
        self.stop()
        try:
            if self._stopping:
                self._stopping.result(timeout=30)
            self._submit(self._living.close()).result(timeout=5)
        except TimeoutError:
            pass
        finally:
            self._pid, self._over = 0, os.getpid()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=2)


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop, or the standard one where threads are gevent's or eventlet's: uvloop blocks those."""
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
