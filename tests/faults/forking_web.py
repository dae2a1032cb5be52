"""Web processes that are there at once: `mailroom web` in a child of a process that has imported everything.

Each line on standard input kills the child, if there is one, and starts another; its process id is the answer. A
child is Mailroom as ever, with its own settings, loop and connections. It can be killed a thousand times in the
time that a hundred imports take.
"""

import gc
import os
import signal
import sys

import mailroom.bootstrap.web
import mailroom.web.server.server  # noqa: F401  # before the fork, as the other
from mailroom.bootstrap.shell import run_web
from mailroom.ops import startup
from mailroom.ops.observability import logs


def main() -> None:
    """Start a child for each line; end with the input."""
    gc.freeze()
    child = 0
    for _ in sys.stdin:
        end(child)
        child = os.fork()
        if child == 0:
            settings = startup.settings()
            logs.configure(settings.log_level, "web")
            os._exit(run_web(settings))
        print(child, flush=True)  # noqa: T201
    end(child)


def end(child: int) -> None:
    """SIGKILL a child, and wait until its port is free."""
    if child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
