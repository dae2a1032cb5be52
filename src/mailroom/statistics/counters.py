"""What a process counts and measures. Counting costs about a microsecond; the rows are written once a second.

Each process has its own rows: it writes the total of the minute each time, so that a write may be repeated, and
two processes never wait for each other. A process that is killed loses the counts of its last second.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.statistics.histogram import bucket_of

logger = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two writes."""
MOST_MINUTES = 60
"""Minutes that are kept while PostgreSQL is away; then the oldest are forgotten."""

WRITE = """
insert into statistics (span, at, name, label, process, count, total, buckets, counts)
select 'minute', at, name, label, %(process)s, count, total, buckets, counts
from jsonb_to_recordset(%(rows)s) as row (
    at timestamptz, name text, label text, count bigint, total float8, buckets smallint[], counts bigint[]
)
on conflict (span, at, name, label, process) do update set
    count = excluded.count, total = excluded.total, buckets = excluded.buckets, counts = excluded.counts
returning clock_timestamp()
"""


@dataclass(slots=True)
class Cell:
    """One number of one minute, with a histogram if it measures times."""

    count: int = 0
    total: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict)


Key = tuple[int, str, str]
"""Minute (since 1970), name, label."""


class Counters:
    """Counts for one process, in its event loop. `clock_of` returns the time; tests give their own."""

    def __init__(self, clock_of: Callable[[], datetime] = clock.now) -> None:
        self._clock = clock_of
        self._cells: dict[Key, Cell] = {}
        self._changed: set[Key] = set()
        self._late = timedelta()
        """How far PostgreSQL's clock is ahead of ours: the minutes are PostgreSQL's."""

    def add(self, name: str, label: str = "", number: int = 1) -> None:
        """Count `number` things."""
        self._cell(name, label).count += number

    def observe(self, name: str, seconds: float, label: str = "") -> None:
        """Count one thing that took so many seconds."""
        cell = self._cell(name, label)
        cell.count += 1
        cell.total += max(0.0, seconds)
        bucket = bucket_of(seconds)
        cell.buckets[bucket] = cell.buckets.get(bucket, 0) + 1

    def look(self, name: str, number: float, label: str = "") -> None:
        """Note how many there are at this moment; their average over a period is `total` / `count`."""
        cell = self._cell(name, label)
        cell.count += 1
        cell.total += number

    def _cell(self, name: str, label: str) -> Cell:
        key = (self._minute, name, label)
        self._changed.add(key)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell()
        return cell

    @property
    def _minute(self) -> int:
        return int((self._clock() + self._late).timestamp()) // 60

    @property
    def changed(self) -> bool:
        """True if something is not written yet."""
        return bool(self._changed)

    async def write(self, database: Database, process: str) -> None:
        """Write what has changed. Raises `Unavailable`; then it is written next time."""
        changed = sorted(self._changed)
        if changed:
            rows = [_row(key, self._cells[key]) for key in changed]
            self._changed.clear()
            try:
                written: list[Any] = await database.fetch(WRITE, {"process": process, "rows": Jsonb(rows)})
            except BaseException:
                self._changed.update(changed)
                raise
            finally:
                self._forget()
            self._late = written[0][0] - self._clock()

    def _forget(self) -> None:
        """Forget the minutes that are over and written, and those too old to wait for PostgreSQL any longer."""
        minute = self._minute
        for key in list(self._cells):
            if (key[0] < minute and key not in self._changed) or key[0] < minute - MOST_MINUTES:
                del self._cells[key]
                self._changed.discard(key)


def _row(key: Key, cell: Cell) -> dict[str, Any]:
    minute, name, label = key
    buckets = sorted(cell.buckets)
    return {
        "at": datetime.fromtimestamp(minute * 60, clock.now().tzinfo).isoformat(),
        "name": name,
        "label": label,
        "count": cell.count,
        "total": cell.total,
        "buckets": buckets,
        "counts": [cell.buckets[bucket] for bucket in buckets],
    }


class CounterWriter:
    """Writes the counters of this process once a second, while it runs."""

    def __init__(self, counters: Counters, database: Database, process: str) -> None:
        self._counters = counters
        self._database = database
        self._process = process
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.create_task(self._run(), name="counters")

    async def close(self) -> None:
        """Write what is left, within two seconds, and stop."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(2):
                await self._counters.write(self._database, self._process)
        except (Unavailable, TimeoutError):
            logger.warning("the counts of the last second are lost: the database is away")

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._counters.write(self._database, self._process)
            except Unavailable:
                continue  # the sweep logs that
            except Exception:
                logger.exception("counters could not be written")
