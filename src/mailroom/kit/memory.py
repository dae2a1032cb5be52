"""Memory: large blocks go back to the system at once, and what stays for good is not searched for garbage."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

M_MMAP_THRESHOLD = -3
"""The parameter's number in malloc.h."""
LARGE = 256 * 1024
"""Bytes from which on a block is allocated separately."""


@cache
def give_back_large_blocks() -> None:
    """Have the C library give a large block back to the system when it is freed (mallopt(3), M_MMAP_THRESHOLD).

    Otherwise glibc learns to keep blocks of up to 32 MB. A web process that takes mails of 10 MB needs 215 MB at
    most instead of 258 MB (`python -m benchmarks.api --only large --large 100`). It has a price: Argon2 gets its
    19 MB from the system for each password, which takes half as much CPU again. So a process does this once it
    takes large messages, and not before.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # a C library other than glibc
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)


@contextmanager
def loading() -> Iterator[None]:
    """Load in this block what stays as long as the process: Python never searches it for garbage.

    The gain (`python -m benchmarks --only footprint`): a worker sends its first mail after 1.1 s instead of 1.6 s,
    a web process answers after 1.4 s instead of 1.9 s. Nor does anybody wait later while Python searches all that
    was loaded, which takes 0.1 s.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
