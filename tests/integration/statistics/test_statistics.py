"""Counters in PostgreSQL: written, summed up into hours and days, read."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from mailroom.kit.database import Database
from mailroom.statistics.counters import Counters
from mailroom.statistics.readings import Cells, Series, ever, lately, series
from mailroom.statistics.rollup import Rollup


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url.replace("postgresql:", "postgresql+psycopg:"), connections=4, name="test")
    yield opened
    await opened.close()


async def now_of(database: Database) -> datetime:
    rows: list[Any] = await database.fetch("select now()", {})
    now: datetime = rows[0][0]
    return now


async def count_at(
    database: Database, at: datetime, process: str, *, sent: int, failed: int, seconds: float
) -> None:
    counters = Counters(lambda: at)
    for outcome, number in (("sent", sent), ("failed", failed)):
        counters.add("attempts", outcome, number)
        counters.add("ended", outcome, number)
    for _ in range(sent):
        counters.observe("to_250", seconds, "transactional")
    await counters.write(database, process)
    await counters.write(database, process)  # once more changes nothing


async def read(database: Database, name: str) -> Series:
    async with database.begin_plain() as work:
        return await series(work, name, await now_of(database))


async def sums(database: Database) -> Cells:
    async with database.begin_plain() as work:
        return await ever(work)


async def test_hours_and_days_are_summed_up_once_and_nothing_is_counted_twice(database: Database) -> None:
    now = await now_of(database)
    for hours, process in ((0, "a"), (0, "b"), (3, "a"), (3, "b"), (25, "a"), (49, "a")):
        await count_at(database, now - timedelta(hours=hours), process, sent=10, failed=2, seconds=1 + hours)
    before = (await read(database, "day"), await read(database, "week"), await sums(database))
    for _ in range(3):
        await Rollup(database).run()
    after = (await read(database, "day"), await read(database, "week"), await sums(database))
    for series_before, series_after in zip(before[:2], after[:2], strict=True):
        assert series_before == series_after
    assert (after[0].whole.sent, after[0].whole.failed) == (40, 8)
    assert (after[1].whole.sent, after[1].whole.attempts) == (60, 72)
    assert [point.sent for point in after[0].points if point.sent] == [20, 20]
    assert after[0].whole.p50 == pytest.approx(1, rel=0.06)
    assert after[0].whole.p99 == pytest.approx(4, rel=0.06)
    assert after[2]["ended", "sent"].count == 60
    assert before[2]["to_250", "transactional"].buckets == after[2]["to_250", "transactional"].buckets
    spans: list[Any] = await database.fetch("select span, count(*) from statistics group by 1", {})
    assert dict(spans)["day"] >= 2
    old: list[Any] = await database.fetch(
        "select count(*) from statistics where span = 'minute' and at < now() - interval '27 hours'", {}
    )
    assert old[0][0] == 0, "minutes are kept for a day"


async def test_a_minute_that_is_written_late_is_summed_up_too(database: Database) -> None:
    now = await now_of(database)
    await count_at(database, now - timedelta(hours=2), "a", sent=1, failed=0, seconds=1)
    await Rollup(database).run()
    await count_at(database, now - timedelta(hours=2), "late", sent=5, failed=0, seconds=1)
    await Rollup(database).run()
    assert (await read(database, "day")).whole.sent == 6


async def test_the_last_minutes_are_read_by_label(database: Database) -> None:
    now = await now_of(database)
    await count_at(database, now, "a", sent=3, failed=1, seconds=1)
    await count_at(database, now - timedelta(minutes=30), "a", sent=9, failed=9, seconds=1)
    async with database.begin_plain() as work:
        found = await lately(work, ["ended"], now - timedelta(minutes=10))
    assert found == {("ended", "sent"): 3, ("ended", "failed"): 1}
    assert (await read(database, "hour")).whole.sent == 12
