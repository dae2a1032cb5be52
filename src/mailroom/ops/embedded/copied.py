"""Whether the database of `mailroom up` is a copy of its folder that was put back.

Such a folder holds the copy's Redis, too, so the heartbeat does not reveal it (`mail/ledger/identity.py`). But the
files were made when the folder was put back. The time at which a file was made (its birth time) cannot be set, and
no copy keeps it. So the birth time of a file that PostgreSQL writes only once is noted beside it. If the two
differ, the database is marked as restored, and workers ask for `mailroom restored`.

A folder that was only moved stays the same. What is put back below the file system (a snapshot of a disk or of a
virtual machine) has the same files, and is not recognized.
"""

import ctypes
import sys
from pathlib import Path

import psycopg
from psycopg.errors import UndefinedTable

from mailroom.ops.embedded.data_directory import write_private

NOTE = "born"
FILE = "data/PG_VERSION"
"""A file that is written once, when the database is made."""
FORGET = "update database_identity set written_by = 0"
"""No transaction has this number: the row is not the one that workers wrote."""

_STATX_BTIME = 0x800
_AT_FDCWD = -100
_SIZE, _MASK, _BTIME = 256, 0, 80
"""Bytes of `struct statx`, and where two of its fields are (statx(2), the same on every architecture)."""


def is_copy(folder: Path) -> bool:
    """Return whether the database in this folder is a copy of the one that was noted there."""
    try:
        noted = (folder / NOTE).read_text().strip()
    except FileNotFoundError:
        return False  # new, or made by a version that noted nothing
    return noted != birth(folder / FILE)


def note(folder: Path) -> None:
    """Note the database in this folder as the original."""
    write_private(folder / NOTE, f"{birth(folder / FILE)}\n")


def forget_identity(url: str) -> None:
    """Mark this database as restored, for the workers. Blocks. Before the migrations there is nothing to do."""
    with psycopg.connect(url) as connection:
        try:
            connection.execute(FORGET)
        except UndefinedTable:
            connection.rollback()


def birth(path: Path) -> str:
    """Return when a file was made, in nanoseconds; its inode if the system keeps no such time."""
    found = path.stat()
    made = getattr(found, "st_birthtime", None) or _birth_on_linux(path)
    return f"born {made}" if made else f"inode {found.st_ino}"


def _birth_on_linux(path: Path) -> int | None:
    buffer = ctypes.create_string_buffer(_SIZE)
    try:
        failed = ctypes.CDLL(None).statx(_AT_FDCWD, bytes(path), 0, _STATX_BTIME, buffer)
    except (AttributeError, OSError, TypeError):  # not Linux, or an old C library
        return None
    fields = buffer.raw
    if failed or not int.from_bytes(fields[_MASK : _MASK + 4], sys.byteorder) & _STATX_BTIME:
        return None
    seconds = int.from_bytes(fields[_BTIME : _BTIME + 8], sys.byteorder, signed=True)
    return seconds * 10**9 + int.from_bytes(fields[_BTIME + 8 : _BTIME + 12], sys.byteorder)
