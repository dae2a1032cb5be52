"""A line from a prefork worker to its children: Celery tells only the worker itself that it is to stop."""

import os
import select
import threading
from collections.abc import Callable


class ShutdownPipe:
    """A pipe that every child inherits. The byte in it is never read, so that all of them see it."""

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None

    def open(self) -> None:
        """Make the pipe; call it in the worker, before it forks."""
        self._ends = os.pipe()

    def ring(self) -> None:
        """Tell the children. Safe in a signal handler."""
        if self._ends:
            os.write(self._ends[1], b"!")

    def listen(self, heard: Callable[[], None]) -> None:
        """Have `heard` called once the line has rung; call it in a child."""
        if self._ends:
            reading = self._ends[0]
            threading.Thread(target=_wait, args=(reading, heard), name="stop-line", daemon=True).start()


def _wait(reading: int, heard: Callable[[], None]) -> None:
    select.select([reading], [], [])
    heard()
