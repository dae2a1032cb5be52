"""Histograms and counters, without a server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.kit.errors import Unavailable
from mailroom.statistics.counters import Counters
from mailroom.statistics.histogram import LAST, bucket_of, end_of, quantile

NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


class Rows:
    """Stands for PostgreSQL: keeps the last row of each key, or is away."""

    def __init__(self, clock: "Clock") -> None:
        self.clock = clock
        self.rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.away = False
        self.writes = 0
        self.ahead = timedelta()

    async def fetch(self, _query: str, values: dict[str, Any]) -> list[tuple[datetime]]:
        if self.away:
            raise Unavailable
        self.writes += 1
        for row in values["rows"].obj:
            self.rows[row["at"], row["name"], row["label"]] = row
        return [(self.clock() + self.ahead,)]


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def rows() -> Rows:
    return Rows(Clock())


@pytest.mark.parametrize("seconds", [0.0011, 0.02, 0.5, 1, 7.3, 59, 3600, 86_000])
def test_a_quantile_is_within_five_percent_of_what_was_measured(seconds: float) -> None:
    found = quantile({bucket_of(seconds): 3}, 0.99)
    assert found is not None and abs(found - seconds) <= 0.0501 * seconds
    assert seconds <= end_of(bucket_of(seconds)) < 1.1001 * seconds


def test_quantiles_of_many_times() -> None:
    buckets: dict[int, int] = {}
    for hundredth in range(1, 1001):
        bucket = bucket_of(hundredth / 100)
        buckets[bucket] = buckets.get(bucket, 0) + 1
    assert quantile(buckets, 0.5) == pytest.approx(5, rel=0.06)
    assert quantile(buckets, 0.99) == pytest.approx(9.9, rel=0.06)
    assert quantile({}, 0.5) is None
    assert (bucket_of(-1), bucket_of(0), bucket_of(1e12)) == (0, 0, LAST)


async def test_a_minute_is_written_whole_each_time(rows: Rows) -> None:
    counters = Counters(rows.clock)
    counters.add("attempts", "sent")
    counters.observe("to_250", 0.2)
    await counters.write(rows, "w")  # type: ignore[arg-type]
    assert not counters.changed
    counters.add("attempts", "sent", 4)
    await counters.write(rows, "w")  # type: ignore[arg-type]
    noon = NOON.isoformat()
    assert rows.rows[noon, "attempts", "sent"]["count"] == 5
    assert rows.rows[noon, "to_250", ""]["counts"] == [1]
    await counters.write(rows, "w")  # type: ignore[arg-type]
    assert rows.writes == 2, "nothing had changed"
    rows.clock.now += timedelta(minutes=1)
    counters.add("attempts", "sent")
    await counters.write(rows, "w")  # type: ignore[arg-type]
    assert rows.rows[rows.clock.now.isoformat(), "attempts", "sent"]["count"] == 1
    assert len(counters._cells) == 1, "a minute that is over and written is forgotten"


async def test_nothing_is_forgotten_while_postgresql_is_away(rows: Rows) -> None:
    counters = Counters(rows.clock)
    rows.away = True
    for minute in range(3):
        rows.clock.now = NOON + timedelta(minutes=minute)
        counters.add("created")
        with pytest.raises(Unavailable):
            await counters.write(rows, "w")  # type: ignore[arg-type]
    rows.away = False
    await counters.write(rows, "w")  # type: ignore[arg-type]
    assert [row["count"] for row in rows.rows.values()] == [1, 1, 1]


async def test_minutes_are_those_of_postgresqls_clock(rows: Rows) -> None:
    counters = Counters(rows.clock)
    rows.ahead = timedelta(minutes=5)
    counters.add("created")
    await counters.write(rows, "w")  # type: ignore[arg-type]
    counters.add("created")
    await counters.write(rows, "w")  # type: ignore[arg-type]
    assert [at for at, _, _ in rows.rows] == [NOON.isoformat(), (NOON + rows.ahead).isoformat()]
