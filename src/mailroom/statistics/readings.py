"""Reads the counters: series for charts, sums for rules and metrics. No mail is read."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mailroom.kit.database import PlainWork
from mailroom.statistics.histogram import quantile
from mailroom.statistics.names import ATTEMPTS, CREATED, ENDED, HELD, QUEUE_WAIT, TO_ACCEPTED, WAITING

FAILURES = frozenset({"failed", "expired", HELD})
"""The labels of `ENDED` that count as failures."""

# Rows of minutes give what is not in hours yet. `statistics_rolled` and the sums change in one transaction.
READ = """
with rolled as (
    select coalesce((select until from statistics_rolled where span = 'hour'), '-infinity') as until
)
select at, name, label, count, total, buckets, counts from statistics, rolled
where span = 'minute' and at >= %(since)s and (at >= rolled.until or not %(hours)s) and name = any(%(names)s)
union all
select at, name, label, count, total, buckets, counts from statistics, rolled
where %(hours)s and span = 'hour' and at >= %(since)s and at < rolled.until and name = any(%(names)s)
"""
# Each moment is read from one span only, so that the sum never falls.
EVER = """
with hours as (
    select coalesce((select until from statistics_rolled where span = 'hour'), '-infinity') as until
), days as (
    select coalesce((select until from statistics_rolled where span = 'day'), '-infinity') as until
), rows as (
    select name, label, count, total, buckets, counts from statistics, hours
    where span = 'minute' and at >= hours.until
    union all
    select name, label, count, total, buckets, counts from statistics, hours, days
    where span = 'hour' and at >= days.until and at < hours.until
    union all
    select name, label, count, total, buckets, counts from statistics, days where span = 'day' and at < days.until
)
select name, label, count, total, buckets, counts from rows
"""
LATELY = """
select name, label, sum(count)::bigint from statistics
where span = 'minute' and at >= %(since)s and name = any(%(names)s) group by 1, 2
"""


@dataclass(slots=True)
class Measured:
    """Counts and times of one name and label."""

    count: int = 0
    total: float = 0.0
    """Seconds."""
    buckets: dict[int, int] = field(default_factory=dict)

    def merge(self, count: int, total: float, buckets: Sequence[int], counts: Sequence[int]) -> None:
        """Add another row."""
        self.count += count
        self.total += total
        for bucket, number in zip(buckets, counts, strict=True):
            self.buckets[bucket] = self.buckets.get(bucket, 0) + number

    def quantile(self, share: float) -> float | None:
        """Return the time that `share` of the measurements do not exceed, in seconds."""
        return quantile(self.buckets, share)


Cells = Mapping[tuple[str, str], Measured]


@dataclass(frozen=True, slots=True)
class Period:
    """A period that is charted: its length, and the length of one point."""

    name: str
    length: timedelta
    step: timedelta


PERIODS = {
    "hour": Period("hour", timedelta(hours=1), timedelta(minutes=1)),
    "day": Period("day", timedelta(days=1), timedelta(hours=1)),
    "week": Period("week", timedelta(days=7), timedelta(hours=3)),
}


@dataclass(frozen=True, slots=True)
class Point:
    """What happened within one step of a period."""

    at: datetime
    created: int = 0
    sent: int = 0
    failed: int = 0
    attempts: int = 0
    p50: float | None = None
    """Seconds, like the next two; from the commit to the acceptance."""
    p99: float | None = None
    wait_p99: float | None = None
    waiting: float | None = None
    """Mails that waited, on average; none if nobody looked."""


@dataclass(frozen=True, slots=True)
class Series:
    """The points of a period, the oldest first, and one point for the whole period."""

    period: Period
    points: Sequence[Point]
    whole: Point


async def series(work: PlainWork, name: str, now: datetime) -> Series:
    """Return the ``hour``, ``day`` or ``week`` that ends with the step of `now`."""
    period = PERIODS[name]
    last = _floor(now, period.step)
    first = last - period.length + period.step
    values = {
        "since": first,
        "hours": period.step >= timedelta(hours=1),
        "names": [ATTEMPTS, ENDED, CREATED, QUEUE_WAIT, TO_ACCEPTED, WAITING],
    }
    steps: dict[datetime, dict[tuple[str, str], Measured]] = defaultdict(lambda: defaultdict(Measured))
    whole: dict[tuple[str, str], Measured] = defaultdict(Measured)
    rows: list[Any] = await work.fetch(READ, values)
    for at, kind, label, *numbers in rows:
        steps[_floor(at, period.step)][kind, label].merge(*numbers)
        whole[kind, label].merge(*numbers)
    number = int(period.length / period.step)
    moments = [first + place * period.step for place in range(number)]
    return Series(period, [_point(at, steps.get(at, {})) for at in moments], _point(first, whole))


def _floor(at: datetime, step: timedelta) -> datetime:
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, at.tzinfo)


def _point(at: datetime, cells: Cells) -> Point:
    def count(name: str, *labels: str) -> int:
        return sum(
            cell.count for (kind, label), cell in cells.items() if kind == name and (not labels or label in labels)
        )

    accepted, waited = Measured(), Measured()
    looks = cells.get((WAITING, ""), Measured())
    for (kind, label), cell in cells.items():
        if kind in {TO_ACCEPTED, QUEUE_WAIT} and label != "bulk":  # nobody waits for bulk mails
            kept = accepted if kind == TO_ACCEPTED else waited
            kept.merge(cell.count, cell.total, list(cell.buckets), list(cell.buckets.values()))
    return Point(
        at,
        created=count(CREATED),
        sent=count(ENDED, "sent"),
        failed=count(ENDED, *FAILURES),
        attempts=count(ATTEMPTS),
        p50=accepted.quantile(0.5),
        p99=accepted.quantile(0.99),
        wait_p99=waited.quantile(0.99),
        waiting=looks.total / looks.count if looks.count else None,
    )


async def ever(work: PlainWork) -> Cells:
    """Return everything since the first row: it never falls, so that Prometheus may take it as counters."""
    found: dict[tuple[str, str], Measured] = defaultdict(Measured)
    rows: list[Any] = await work.fetch(EVER, {})
    for name, label, *numbers in rows:
        found[name, label].merge(*numbers)
    return found


async def lately(work: PlainWork, names: Sequence[str], since: datetime) -> Mapping[tuple[str, str], int]:
    """Return the counts of these names since then, to the minute, by name and label; at most a day back."""
    rows: list[Any] = await work.fetch(LATELY, {"names": list(names), "since": since})
    return {(name, label): count for name, label, count in rows}
