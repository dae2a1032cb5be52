"""A pipe from a prefork worker to its children: Celery tells only the worker itself that it has to stop."""

import os
import select
import threading
from collections.abc import Callable


class ShutdownPipe:
    """A pipe that every child inherits. Nobody reads the byte in it, so that all of them see it."""

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None

    def open(self) -> None:
        """Make the pipe; call it in the worker, before it forks."""
        self._ends = os.pipe()

    def signal(self) -> None:
        """Tell the children to stop. Safe in a signal handler."""
        if self._ends:
            os.write(self._ends[1], b"!")

    def listen(self, stop: Callable[[], None]) -> None:
        """Have `stop` called, in a thread, once the worker signals; call it in a child."""
        if self._ends:
            reading = self._ends[0]
            threading.Thread(target=_wait, args=(reading, stop), name="shutdown-pipe", daemon=True).start()


def _wait(reading: int, stop: Callable[[], None]) -> None:
    select.select([reading], [], [])
    stop()
