"""Metrics for Prometheus (text format 0.0.4). Each scrape asks the database; nothing is kept in between."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mailroom.kit.errors import Unavailable
from mailroom.mail.states import State
from mailroom.services import Services

PATIENCE = 3.0
"""Seconds that the database has for all questions of a scrape."""
WINDOW = timedelta(minutes=5)
NEWEST = 50_000
"""Attempts looked at, at most: their ids rise, so that no index on their times is needed."""

MAILS = "select state, count(*) from mails group by state"
BACKLOG = """
select count(*), coalesce(extract(epoch from now() - min(created_at)), 0)
from mails where nudge_at is not null
"""
ATTEMPTS = """
select outcome, coalesce(reason, ''), count(*) from attempts
where id > (select max(id) from attempts) - %s and ended_at > now() - %s and outcome is not null
group by 1, 2
"""


@dataclass(slots=True, eq=False)  # the registry hashes its collectors
class Numbers(Collector):
    """The numbers of one scrape."""

    watched: int | None
    poller: tuple[float, float] = (0.0, 0.0)
    database: bool = False
    mails: dict[str, int] = field(default_factory=dict)
    backlog: int = 0
    oldest: float = 0.0
    attempts: list[tuple[str, str, int]] = field(default_factory=list)

    def collect(self) -> Iterable[Metric]:
        """Return the metrics; those of the database only where it answered."""
        yield _gauge("mailroom_database_up", "Whether the database answered this scrape.", float(self.database))
        if self.watched is not None:
            yield _gauge("mailroom_watched_tasks", "Tasks that browsers watch through this process.", self.watched)
            spent, longest = self.poller
            words = "Processor time of this process's poller so far."
            yield CounterMetricFamily("mailroom_poller_seconds", words, value=spent)
            words = "The longest that its poller held up all else in this process."
            yield _gauge("mailroom_poller_longest_step_seconds", words, longest)
        if self.database:
            yield from self._of_mails()

    def _of_mails(self) -> Iterator[Metric]:
        mails = GaugeMetricFamily("mailroom_mails", "Mails by state.", labels=["state"])
        for state in State:
            mails.add_metric([state.value], self.mails.get(state, 0))
        yield mails
        yield _gauge("mailroom_backlog_mails", "Mails that are to be sent and are not yet.", self.backlog)
        yield _gauge("mailroom_oldest_waiting_seconds", "Age of the oldest of them.", self.oldest)
        attempts = GaugeMetricFamily(
            "mailroom_recent_attempts",
            "Attempts that ended in the last five minutes.",
            labels=["outcome", "reason"],
        )
        for outcome, reason, count in self.attempts:
            attempts.add_metric([outcome, reason], count)
        yield attempts


async def render(services: Services) -> bytes:
    """Return the page. Never raises for a database that is away: `mailroom_database_up` says so."""
    numbers = Numbers(None)
    if tracker := services.tracker:
        numbers = Numbers(tracker.watched, (tracker.spent, tracker.longest_step))
    try:
        async with asyncio.timeout(PATIENCE), services.database.connection() as connection:
            await _ask(connection, numbers)
        numbers.database = True
    except (Unavailable, TimeoutError, psycopg.Error):
        pass
    registry = CollectorRegistry()
    registry.register(numbers)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return generate_latest(registry)


async def _ask(connection: "psycopg.AsyncConnection[tuple[object, ...]]", numbers: Numbers) -> None:
    await connection.execute(f"set local statement_timeout = '{PATIENCE:.0f}s'")
    rows: list[Any] = await (await connection.execute(MAILS)).fetchall()
    numbers.mails = dict(rows)
    row: Any = await (await connection.execute(BACKLOG)).fetchone()
    numbers.backlog, numbers.oldest = int(row[0]), float(row[1])
    attempts: list[Any] = await (await connection.execute(ATTEMPTS, (NEWEST, WINDOW))).fetchall()
    numbers.attempts = attempts


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)
