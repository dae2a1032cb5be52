"""Memory: large blocks go back to the system at once; garbage is looked for only among what may become it."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

M_MMAP_THRESHOLD = -3
"""The parameter's number in malloc.h."""
LARGE = 256 * 1024
"""Bytes of a block from which it is one of its own."""


def give_back_large_blocks() -> None:
    """Have the C library give a large block back to the system when it is freed (mallopt(3), M_MMAP_THRESHOLD).

    glibc learns to keep blocks of up to 32 MB otherwise. A web process that takes mails of 10 MB needs 279 MB
    at most instead of 312 MB, and `mailroom submission` 216 MB instead of 237 MB
    (`python -m benchmarks.api --only large`).
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # a C library other than glibc
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)


@contextmanager
def loading() -> Iterator[None]:
    """Load here what stays as long as the process does: Python looks for no garbage among it, now or later.

    It buys (`python -m benchmarks --only footprint`): a worker sends its first mail after 1.1 s instead of 1.6 s,
    a web process answers after 1.4 s instead of 1.9 s. And nobody waits later while all that was loaded is looked
    through, which takes 0.1 s.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
