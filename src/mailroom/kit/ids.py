"""Ids: UUID version 7 (RFC 9562 §5.7), so that rows made together stand together in an index."""

import os
import time
from datetime import datetime
from uuid import UUID


def new_id() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    return UUID(int=milliseconds << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & (1 << 62) - 1)


def first_id(at: datetime) -> UUID:
    """Return the lowest id of that moment: every id made before it is lower."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def parse_id(text: str) -> UUID | None:
    """Return `text` as an id, or None where it is none (so that a wrong link is 'not found', not an error)."""
    try:
        return UUID(text)
    except ValueError:
        return None
