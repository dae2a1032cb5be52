"""The output of `mailroom up`: the lines of all programs, each after the name of its program."""

import os
import queue
import threading
from collections.abc import Mapping, Sequence

COLOURS = (36, 35, 34, 32, 33, 31)
DIM, BOLD, PLAIN = "\033[2m", "\033[1m", "\033[0m"


class Console:
    """Writes lines to a file descriptor in a thread of its own.

    A terminal that was closed, or that nobody reads, must not hold up the programs: lines for which there is no
    room are dropped.
    """

    def __init__(self, names: Sequence[str], environment: Mapping[str, str], descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self.coloured = os.isatty(descriptor) and not environment.get("NO_COLOR")
        self._names = list(names)
        self._width = max(map(len, names), default=0)
        self._lines: queue.Queue[bytes | None] = queue.Queue(maxsize=10_000)
        self._thread = threading.Thread(target=self._write, name="console", daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Show lines of `mailroom up` itself."""
        self._put(text)

    def line(self, name: str, text: str) -> None:
        """Show one line of the program `name`."""
        padded = f"{name:<{self._width}} │"
        if self.coloured:
            colour = COLOURS[self._names.index(name) % len(COLOURS)] if name in self._names else COLOURS[-1]
            padded = f"\033[{colour}m{padded}{PLAIN}"
        self._put(f"{padded} {text}")

    def styled(self, style: str, text: str) -> str:
        """Return `text` in a style (BOLD, DIM) if colours are shown, else as it is."""
        return f"{style}{text}{PLAIN}" if self.coloured else text

    def close(self, seconds: float = 1.0) -> None:
        """Show what is still waiting, for at most some seconds."""
        try:
            self._lines.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _put(self, text: str) -> None:
        try:
            self._lines.put_nowait(f"{text}\n".encode(errors="replace"))
        except queue.Full:
            return

    def _write(self) -> None:
        dead = False
        while (line := self._lines.get()) is not None:
            while line and not dead:
                try:
                    line = line[os.write(self._descriptor, line) :]  # what is left of it
                except OSError:
                    dead = True
