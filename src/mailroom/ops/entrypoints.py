"""What the shell needs from the rooms above it, handed in by `bootstrap/shell.py`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from mailroom.progress.tracker import Tracker
from mailroom.services import Services
from mailroom.settings import Settings


@dataclass(frozen=True, slots=True)
class Entrypoints:
    """Each is called only by the command that needs it, so that no command loads what it does not use."""

    web: Callable[[Settings, int | None], int]
    """Serve the web until stopped and return the exit code; on the socket of that file descriptor, if given."""
    worker: Callable[[Settings, bool], int]
    """Run WORKER_PROCESSES workers until stopped and return the exit code; with true one, in this process."""
    submission: Callable[[Settings, int | None], int]
    """Serve SMTP submission until stopped and return the exit code; on the socket of that descriptor, if given."""
    services: Callable[[Settings], Services]
    """Wire the services for one command; its database is closed by the caller."""
    tracker: Callable[[Services], AbstractAsyncContextManager[Tracker]]
    """Open a poller for one command, over the database of its services."""
    queue_depth: Callable[[Settings], int | None]
    """How many messages wait in the queue, or None if the broker does not answer. Blocks."""
    workers: Callable[[Settings], Mapping[str, Sequence[str]]]
    """The names of the workers that answer, by the broker they listen at; brokers that are away are left out.

    Blocks for a second or two; raises an error if no broker can be reached.
    """
