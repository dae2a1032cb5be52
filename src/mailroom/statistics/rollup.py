"""Sums minutes up into hours and hours into days, and deletes what is too old. The sweep's clean-up calls it."""

from datetime import datetime, timedelta
from typing import Any

from mailroom.kit.database import Database
from mailroom.kit.statements import Raw

LOCK = 0x73746174  # "stat"
LATE = timedelta(hours=2)
"""How far back a sum is made again: a process may write its minutes late, after PostgreSQL was away."""
KEPT = {"minute": timedelta(hours=26), "hour": timedelta(days=40)}
"""How long the rows of a span are kept. Rows of days, 20 for each, are kept for ever."""

UNTIL = """
select coalesce((select until from statistics_rolled where span = %(span)s),
    date_trunc(%(span)s, (select min(at) from statistics where span = %(of)s), 'UTC'))
"""
END = "select date_trunc(%(span)s, {end}, 'UTC')"
SUM = """
with read as (
    select date_trunc(%(span)s, at, 'UTC') as start, name, label, count, total, buckets, counts
    from statistics where span = %(of)s and at >= %(since)s and at < %(until)s
), totals as (
    select start, name, label, sum(count) as count, sum(total) as total from read group by 1, 2, 3
), cells as (
    select start, name, label, bucket, sum(number)::bigint as number
    from read, unnest(buckets, counts) as cell (bucket, number) group by 1, 2, 3, 4
), histograms as (
    select start, name, label, array_agg(bucket order by bucket) as buckets,
        array_agg(number order by bucket) as counts
    from cells group by 1, 2, 3
)
insert into statistics (span, at, name, label, count, total, buckets, counts)
select %(span)s, start, name, label, count, total, coalesce(buckets, '{}'), coalesce(counts, '{}')
from totals left join histograms using (start, name, label)
on conflict (span, at, name, label, process) do update set
    count = excluded.count, total = excluded.total, buckets = excluded.buckets, counts = excluded.counts
"""
ROLLED = """
insert into statistics_rolled (span, until) values (%(span)s, %(until)s)
on conflict (span) do update set until = excluded.until
"""
FORGET = "delete from statistics where span = %(span)s and at < now() - %(kept)s and at < %(until)s"


class Rollup:
    """Runs in one process at a time, under an advisory lock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Sum up what is complete; a second run changes nothing. Raises `Unavailable`."""
        async with self._database.connection() as connection:
            got = await (await connection.execute("select pg_try_advisory_xact_lock(%s)", (LOCK,))).fetchone()
            if not got or not got[0]:
                return
            hours = await self._sum(connection, "hour", "minute", "now() - interval '90 s'")
            if hours is None:
                return
            days = await self._sum(connection, "day", "hour", "%(hours)s::timestamptz", hours=hours)
            for span, until in (("minute", hours), ("hour", days)):
                if until:
                    await connection.execute(FORGET, {"span": span, "kept": KEPT[span], "until": until})

    async def _sum(self, connection: Raw, span: str, of: str, end: str, **values: datetime) -> datetime | None:
        """Sum up the spans that end before `end` (SQL); return until when all is summed up, None if nothing is."""
        rolled: datetime | None = await _one(connection, UNTIL, {"span": span, "of": of})
        if rolled is None:
            return None
        until: datetime = await _one(connection, END.format(end=end), {"span": span, **values})
        until = max(until, rolled)
        since = rolled - LATE if span == "hour" else rolled - timedelta(days=1)
        arguments = {"span": span, "of": of, "since": since, "until": until}
        # The first of these spans is complete: rows are kept for longer than that.
        await connection.execute(SUM, arguments)
        await connection.execute(ROLLED, {"span": span, "until": until})
        return until


async def _one(connection: Raw, query: str, values: dict[str, Any]) -> Any:
    row = await (await connection.execute(query.encode(), values)).fetchone()
    return row[0] if row else None
