"""The base class of the embedded servers, for `mailroom up` and for the tests: start, wait until ready, stop."""

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from mailroom.ops.embedded.ports import free_port
from mailroom.ops.processes import program as processes
from mailroom.ops.processes.errors import NotReady

POLL = 0.03
STOP_SECONDS = 5.0
LARGEST_LOG = 5 * 1024 * 1024


class Server(ABC):
    """One server on 127.0.0.1 with its data in `folder`; can be started again, on the same port."""

    name: str

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address with the password in it: for a setting, never for a log."""

    @abstractmethod
    def prepare(self) -> None:
        """Make `folder` ready for `program`; cheap if it is ready already."""

    @property
    @abstractmethod
    def program(self) -> processes.Program:
        """The program to run once `prepare` is done."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether it answers as the server we started (its password fits)."""

    @property
    def log(self) -> Path:
        """The file it writes its log to."""
        return self.folder / f"{self.name}.log"

    def trim_log(self) -> None:
        """Start a new log if the old one has grown large; the old one is kept beside it."""
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process started by `start`."""
        assert self._process is not None, "not started"
        return self._process

    def start(self) -> Self:
        """Start it and return at once. It ends when the thread that calls this ends."""
        self.prepare()
        self.trim_log()
        self._process = processes.spawn(self.program, self.log)
        return self

    def wait_ready(self, timeout: float = 30.0) -> Self:
        """Wait until it answers. Raises `NotReady`, with the end of its log, after `timeout` seconds."""
        until = time.monotonic() + timeout
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > until:
                raise NotReady(f"{self.name} did not become ready. Its log ends: {self._last_words()}")
            time.sleep(POLL)
        return self

    def stop(self) -> None:
        """Stop it cleanly, by force after some seconds; do nothing if it does not run."""
        if self._process is not None:
            processes.end(self._process, self.program.stop_signal, STOP_SECONDS)

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1000:] if self.log.exists() else "(nothing)"

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Run it for the length of a `with` block."""
        try:
            yield self.start().wait_ready()
        finally:
            self.stop()
