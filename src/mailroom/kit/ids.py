"""Ids: UUID version 7 (RFC 9562 §5.7), so that rows made together are close together in an index.

Ids of one process rise strictly: the 12 bits after the milliseconds hold the fraction of the millisecond (§6.2,
method 3), and if two ids are made in the same fraction, the second one gets the next number.
"""

import os
import threading
import time
from datetime import datetime
from uuid import UUID

_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, 12 bits of their fraction, 62 random bits."""
    global _last  # noqa: PLW0603  # the last moment that was used, for the whole process
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    with _lock:
        _last = moment = max(milliseconds << 12 | rest * 4096 // 1_000_000, _last + 1)
    random = int.from_bytes(os.urandom(8)) >> 2
    return UUID(int=(moment >> 12) << 80 | 0x7 << 76 | (moment & 0xFFF) << 64 | 0b10 << 62 | random)


def first_id(at: datetime) -> UUID:
    """Return the lowest id of that moment: every id made before it is lower."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def parse_id(text: str) -> UUID | None:
    """Return `text` as an id, or None if it is no id (so that a wrong link is 'not found', not an error)."""
    try:
        return UUID(text)
    except ValueError:
        return None
