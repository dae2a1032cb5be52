"""PASSWORD_BLOCKLIST: a local file of leaked passwords, sorted. It is searched on disk and never loaded.

The file has either one password a line, sorted by bytes (`LC_ALL=C sort -u`), or sorted hexadecimal SHA-1 digests,
with or without a count after a colon: the format in which Have I Been Pwned offers its list for download.
"""

import hashlib
import re
from pathlib import Path
from typing import BinaryIO

SHA1 = re.compile(rb"[0-9A-Fa-f]{40}(:[0-9]+)?\s*\Z")
DIGEST = 40
"""Characters of a SHA-1."""
LONGEST_LINE = 4096


class Blocklist:
    """Tells whether a password is in the file. Blocks: call it off the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def holds(self, password: str) -> bool:
        """Tell whether this password, as it was typed, is in the list. Raises `OSError`."""
        text = password.encode(errors="surrogatepass")
        with self._path.open("rb") as file:
            if not SHA1.match(file.readline(LONGEST_LINE)):
                return _holds(file, text, None)
            return _holds(file, hashlib.sha1(text, usedforsecurity=False).hexdigest().upper().encode(), DIGEST)


def _holds(file: BinaryIO, wanted: bytes, width: int | None) -> bool:
    """Search the lines of a sorted file. A line is compared up to `width` bytes, in capitals; None: all of it."""
    low, high = 0, file.seek(0, 2)  # a line that begins in [low, high) may be the one
    while low < high:
        middle = (low + high) // 2
        start = _line_start(file, middle)
        if start >= high:
            high = middle
            continue
        file.seek(start)
        line = file.readline(LONGEST_LINE)
        found = line[:width].upper() if width else line.rstrip(b"\r\n")
        if found == wanted:
            return True
        if found < wanted:
            low = start + len(line)
        else:
            high = middle
    return False


def _line_start(file: BinaryIO, place: int) -> int:
    """Return where the first line begins at or after `place`."""
    if place == 0:
        return 0
    file.seek(place - 1)
    return place - 1 + len(file.readline(LONGEST_LINE))
