"""The last resort of a process that is told to stop."""

import os
import threading
from collections.abc import Callable


def exit_after(seconds: float, last: Callable[[], None] = lambda: None) -> None:
    """Call `last()` and end this process with status 0 after so many seconds, unless it has ended by then."""

    def end() -> None:
        try:
            last()
        finally:
            os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
