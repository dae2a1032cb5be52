"""Slices of time that a search looks at one after the other, the newest first.

Each is some times as long as the one before it. So the cost of a page is bounded whatever is asked for, and
however many rows there are: ids are UUIDs of version 7, and a slice is a range of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from mailroom.kit.ids import first_id

FIRST_SLICE = timedelta(minutes=5)
GROWTH = 6
PATIENCE = 2.0
"""Seconds that the first slice may take: each page gets further, however busy the database is."""
SKEW = timedelta(minutes=10)
"""How far the clocks of processes, which make ids, may be from PostgreSQL's and from each other's."""
LAST_ID = UUID(int=2**128 - 1)
FIRST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Window:
    """Ids and times that a search looks at; the highest id is left out."""

    low: UUID
    high: UUID
    since: datetime | None
    until: datetime | None

    @property
    def around(self) -> tuple[UUID, UUID]:
        """The ids of rows that were made along with those of the window: lowest and highest."""
        skew = int(SKEW.total_seconds() * 1000) << 80
        return UUID(int=max(0, self.low.int - skew)), UUID(int=min(LAST_ID.int, self.high.int + skew))


def slices(window: Window, now: datetime, *, whole_at_once: bool) -> Iterator[Window]:
    """Yield a window in parts, the newest first."""
    if whole_at_once:
        yield window
        return
    end = min(_time_of(window.high, now), now + timedelta(days=1))
    length, high, until = FIRST_SLICE, window.high, window.until
    while True:
        try:
            start = min(end, now) - length
        except OverflowError:
            start = None
        if start is None or (window.since and start <= window.since) or start.year < 2000:  # noqa: PLR2004
            yield Window(window.low, high, window.since, until)
            return
        low = first_id(start)
        yield Window(low, high, start, until)
        high, until, end, length = low, start, start, length * GROWTH


def _time_of(id_: UUID, now: datetime) -> datetime:
    """Return the moment of a UUIDv7, or now where it is of none."""
    try:
        return datetime.fromtimestamp((id_.int >> 80) / 1000, tz=now.tzinfo)
    except (OverflowError, ValueError, OSError):
        return now
