"""The mail server of a run, and when it took each mail: Postfix's `smtp-sink` where it can be had, else our own.

`smtp-sink` waits in whole seconds only; for other delays it is our own everywhere.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mailroom.ops.embedded.ports import free_port

OURS = Path(__file__).with_name("sink.py")
POSTFIXS = shutil.which("smtp-sink")
NAME = "smtp-sink" if POSTFIXS else "the sink of benchmarks/"
CONNECTIONS = "1024"
"""How many it has at once: its own limit is 256."""


class Journal:
    """When the server took each mail, by `time.time()`."""

    def times(self) -> list[float]:
        """Return the times so far, in order."""
        raise NotImplementedError

    def wait_for(self, count: int, seconds: float = 90) -> list[float]:
        """Return the times once there are `count` of them."""
        until = time.monotonic() + seconds
        while len(times := self.times()) < count:
            assert time.monotonic() < until, f"only {len(times)} of {count} mails in {seconds} s"
            time.sleep(0.02)
        return list(times)


class Written(Journal):
    """A file with a line for each mail, as our sink writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._times: list[float] = []
        self._read = 0
        path.touch()

    def times(self) -> list[float]:
        with self._path.open() as file:
            file.seek(self._read)
            news = file.read().rpartition("\n")
            self._read += len(news[0] + news[1])
        self._times += map(float, news[0].split())
        return self._times


class Counted(Journal):
    """The running counters of `smtp-sink -c`: the time at which each count was read."""

    def __init__(self, counters: IO[bytes]) -> None:
        self._counters = counters
        self._times: list[float] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        with self._counters:
            while data := os.read(self._counters.fileno(), 65536):
                now = time.time()
                *lines, rest = (rest + data).split(b"\r")
                if lines:
                    count = int(lines[-1].rpartition(b"mesg=")[2])
                    self._times += [now] * (count - len(self._times))
                time.sleep(0.002)  # the next ones together: reading each by itself would take half a core

    def times(self) -> list[float]:
        return self._times


@contextmanager
def sink_of(folder: Path, delay: float) -> Iterator[tuple[int, Journal]]:
    """Run a mail server that takes `delay` seconds for a mail; yield its port and when it took each."""
    port = free_port()
    if POSTFIXS and not delay:
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [POSTFIXS, "-c", *user, f"127.0.0.1:{port}", CONNECTIONS]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout
        journal: Journal = Counted(process.stdout)
    else:
        path = folder / f"journal-{port}"
        journal = Written(path)
        process = subprocess.Popen([sys.executable, str(OURS), str(port), str(delay), str(path)])
    try:
        _until_it_listens(port)
        yield port, journal
    finally:
        process.terminate()
        process.wait()


def _until_it_listens(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError("the mail server does not listen")
