"""Several processes of one kind under one: `mailroom web` and `mailroom worker` on more than one core.

A process that dies is started again with backoff. SIGTERM and SIGINT are passed on, and the fleet waits for the
processes to end; one that does not in time is killed. If the fleet itself is killed, the kernel ends the processes
(Linux).
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from mailroom.ops.processes.program import LAUNCH
from mailroom.settings.stop_times import DEFAULT

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = 30.0
STEADY_AFTER = 60.0
"""Seconds a process must have run for its next death to count as the first."""


class Fleet:
    """`count` processes of the same command, kept running until a signal says stop."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        count: int,
        *,
        pass_fds: Sequence[int] = (),
        stop_seconds: float = DEFAULT,
    ) -> None:
        self._stop_seconds = stop_seconds
        self._name = name
        self._command = command
        self._pass_fds = tuple(pass_fds)
        self._slots = [Slot() for _ in range(count)]
        self._stopping = False

    def run(self) -> int:
        """Run until told to stop and all have ended; return the exit status for this process."""
        for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(stop, self._stop)
        while not self._stopping:
            for number, slot in enumerate(self._slots, 1):
                self._tend(number, slot)
            time.sleep(0.1)
        until = time.monotonic() + self._stop_seconds
        for slot in self._slots:
            if slot.process:
                self._wait_for(slot.process, until)
        return 0

    def _wait_for(self, process: "subprocess.Popen[bytes]", until: float) -> None:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.warning("%s (pid %d) did not end in time and is killed", self._name, process.pid)
            process.kill()
            process.wait()

    def _tend(self, number: int, slot: "Slot") -> None:
        now = time.monotonic()
        if slot.process and slot.process.poll() is not None:
            wait = slot.ended(now)
            words = "%s %d ended with status %s; starting it again in %.0f s"
            logger.warning(words, self._name, number, slot.process.returncode, wait)
            slot.process = None
        if slot.process is None and now >= slot.start_at and not self._stopping:
            slot.started, slot.process = now, self._start()
            if self._stopping:  # the signal came while it was being started
                slot.process.send_signal(signal.SIGTERM)

    def _start(self) -> "subprocess.Popen[bytes]":
        launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(signal.SIGTERM)), "-"]
        return subprocess.Popen([*launch, *self._command], pass_fds=self._pass_fds, process_group=0)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        for slot in self._slots:
            if slot.process and slot.process.poll() is None:
                slot.process.send_signal(number if number == signal.SIGQUIT else signal.SIGTERM)


class Slot:
    """One process of the fleet, and when it may be started next."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.start_at = 0.0
        self._deaths = 0

    def ended(self, now: float) -> float:
        """Note a death; return the seconds until the next start: 1, 2, 4, … up to 30."""
        self._deaths = 0 if now - self.started > STEADY_AFTER else self._deaths + 1
        wait = min(2.0 ** max(0, self._deaths - 1), LONGEST_BACKOFF)
        self.start_at = now + wait
        return wait
