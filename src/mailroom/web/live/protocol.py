"""The messages that clients of `/live` may send, and how often."""

import json
import time
from dataclasses import dataclass

MOST_AT_ONCE = 100
EACH_SECOND = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A client's message: tickets to watch, and tickets to stop watching."""

    watch: list[str]
    unwatch: list[str]


def parse(message: str | bytes) -> Asked | None:
    """Return what a message asks for; None if it is invalid."""
    try:
        asked = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(asked, dict) or not asked.keys() <= {"watch", "unwatch"}:
        return None
    lists = asked.get("watch", []), asked.get("unwatch", [])
    for tickets in lists:
        if not isinstance(tickets, list) or not all(isinstance(ticket, str) for ticket in tickets):
            return None
    return Asked(*lists)


class Allowance:
    """How many messages one socket may still send: at most `MOST_AT_ONCE`, refilled by `EACH_SECOND` a second."""

    def __init__(self) -> None:
        self._left = float(MOST_AT_ONCE)
        self._at = time.monotonic()

    def take(self) -> bool:
        """Count one message; return False if it is one too many."""
        now = time.monotonic()
        self._left = min(MOST_AT_ONCE, self._left + (now - self._at) * EACH_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
