"""Slices of time that a search looks at one after the other, the newest first.

Each is several times as long as the one before it. So the cost of a page is bounded whatever is asked for, and
however many rows there are: ids are UUIDs of version 7, and a slice is a range of them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Select

from mailroom.desk.time_limit import within_time
from mailroom.kit.database import Database, UnitOfWork
from mailroom.kit.ids import first_id

FIRST_SLICE = timedelta(minutes=5)
GROWTH = 6
PATIENCE = 2.0
"""Seconds that the first slice may take, so that each page makes progress, however busy the database is."""
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


class HasId(Protocol):
    """A row with a UUID of version 7."""

    @property
    def id(self) -> Any:
        """The id."""


RowT = TypeVar("RowT", bound=HasId)


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """A page of a search, the newest first."""

    rows: Sequence[RowT]
    next: UUID | None
    """What to give as `before` for the next page; None if the search's time holds nothing more, or if not even the
    newest slice could be read in time."""
    looked_to: datetime | None
    """How far back it looked if the budget ended the search; None if it looked at all of its time."""


async def page_of_slices(
    database: Database,
    whole: Window,
    now: datetime,
    query: Callable[[Window, int], Select[RowT]],
    *,
    limit: int,
    budget: float,
    whole_at_once: bool = False,
) -> Page[RowT]:
    """Return at most `limit` rows of `whole`, looked for slice by slice within `budget` seconds.

    `query` makes the statement for a slice and a number of rows, the newest first. Raises `Unavailable`.
    """
    ends_at = time.monotonic() + budget
    found: list[RowT] = []
    async with database.begin() as work:
        for window in slices(whole, now, whole_at_once=whole_at_once):
            left = ends_at - time.monotonic()
            is_first = window.high == whole.high
            seconds = max(left, PATIENCE) if is_first else left
            rows = await _rows(work, query(window, limit + 1 - len(found)), seconds)
            if rows is None and is_first:  # continuing there would give this page again
                return Page([], None, window.until or now)
            if rows is None:  # the budget is used up: nothing is known of this slice
                return Page(found, window.high, window.until)
            found += rows
            if len(found) > limit:
                return Page(found[:limit], found[limit - 1].id, None)
    return Page(found, None, None)


async def _rows(work: UnitOfWork, query: Select[RowT], seconds: float) -> Sequence[RowT] | None:
    """Return the rows of one slice; None if that takes longer than `seconds`."""

    async def ask(work: UnitOfWork) -> Sequence[RowT]:
        return (await work.session.scalars(query)).all()

    return await within_time(work, seconds, ask) if seconds > 0 else None


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
    """Return the moment in a UUIDv7, or `now` if it is no valid time."""
    try:
        return datetime.fromtimestamp((id_.int >> 80) / 1000, tz=now.tzinfo)
    except (OverflowError, ValueError, OSError):
        return now
