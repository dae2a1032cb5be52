"""Metrics for Prometheus (text format 0.0.4). Each scrape asks the database, where the counters are.

The counters are for all processes together, and for all time, so any web process may be scraped. No mail is read.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import psycopg
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from mailroom.desk.alerts.book import current_alerts
from mailroom.desk.alerts.rules import RULES
from mailroom.desk.backlog import Backlog, backlog
from mailroom.desk.processes.readings import ProcessRow, processes
from mailroom.desk.queues import Queue, open_tasks, queues
from mailroom.kit.database import PlainWork
from mailroom.kit.errors import Unavailable
from mailroom.services import Services
from mailroom.statistics import names
from mailroom.statistics.histogram import LAST, end_of
from mailroom.statistics.readings import Cells, Measured, ever

PATIENCE = 3.0
"""Seconds that the database has for all questions of a scrape."""
BOUNDS = tuple(range(0, LAST + 1, 8))
"""Every eighth bound of our buckets is one for Prometheus: 1 ms, 2.1 ms, 4.6 ms and so on, up to two days."""
TASK_STATES = ("queued", "running", "retrying")


@dataclass(slots=True, eq=False)  # the registry hashes its collectors
class Numbers(Collector):
    """The numbers of one scrape."""

    watched: int | None
    poller: tuple[float, float] = (0.0, 0.0)
    database: bool = False
    redis: bool | None = None
    """Whether Redis answers the running processes; None if no process has said so yet."""
    backlog: Backlog = field(default_factory=lambda: Backlog(0, 0, 0, 0, 0))
    queues: Sequence[Queue] = ()
    tasks: Mapping[str, int] = field(default_factory=dict)
    processes: Sequence[ProcessRow] = ()
    alerts: frozenset[str] = frozenset()
    now: float = 0.0
    """The time of the database, in seconds since 1970."""
    cells: Cells = field(default_factory=dict)

    def collect(self) -> Iterable[Metric]:
        """Return the metrics; those of the database only if it answered."""
        yield _gauge("mailroom_database_up", "Whether the database answered this scrape.", float(self.database))
        if self.watched is not None:
            yield _gauge("mailroom_watched_tasks", "Tasks that browsers watch through this process.", self.watched)
            spent, longest = self.poller
            words = "Processor time of this process's poller so far."
            yield CounterMetricFamily("mailroom_poller_seconds", words, value=spent)
            words = "The longest that its poller held up all else in this process."
            yield _gauge("mailroom_poller_longest_step_seconds", words, longest)
        if self.database:
            yield from self._of_now()
            yield from self._of_all_time()

    def _of_now(self) -> Iterator[Metric]:
        if self.redis is not None:
            yield _gauge("mailroom_redis_up", "Whether Redis answers every process.", float(self.redis))
        alive = sum(one.role == "worker" and one.state == "alive" for one in self.processes)
        yield _gauge("mailroom_workers_alive", "Worker processes that live.", alive)
        waits = self.backlog
        counts = {
            "queued": waits.queued,
            "retrying": waits.retrying,
            "scheduled": waits.scheduled,
            "sending": waits.sending,
            "held": waits.held,
        }
        words = "Mails that have not ended, by state; 10001 where there are more than 10000."
        yield _labelled(GaugeMetricFamily("mailroom_mails", words, labels=["state"]), counts)
        yield _gauge("mailroom_backlog_mails", "Mails that are to be sent and are not yet.", waits.waiting)
        depth = GaugeMetricFamily("mailroom_queue_mails", "Mails that are queued.", labels=["stream"])
        oldest = GaugeMetricFamily(
            "mailroom_queue_oldest_seconds", "How long the oldest queued mail waits.", labels=["stream"]
        )
        for queue in self.queues:
            depth.add_metric([queue.stream], queue.queued)
            oldest.add_metric([queue.stream], self.now - queue.oldest.timestamp() if queue.oldest else 0.0)
        yield depth
        yield oldest
        tasks = {state: self.tasks.get(state, 0) for state in TASK_STATES}
        words = "Background tasks that have not ended, by state."
        yield _labelled(GaugeMetricFamily("mailroom_tasks", words, labels=["state"]), tasks)
        firing = {rule: int(rule in self.alerts) for rule in RULES}
        words = "Whether an alert of this rule fires."
        yield _labelled(GaugeMetricFamily("mailroom_alert_firing", words, labels=["rule"]), firing)

    def _of_all_time(self) -> Iterator[Metric]:
        for name, metric, words, label in (
            (names.ATTEMPTS, "mailroom_attempts", "Attempts that ended, by outcome.", "outcome"),
            (names.ENDED, "mailroom_mails_ended", "Mails that ended, by state.", "state"),
            (names.TASKS, "mailroom_tasks_ended", "Background tasks that ended, by state.", "state"),
            (names.CREATED, "mailroom_mails_created", "Mails that were put, by stream.", "stream"),
            (names.REPLIES, "mailroom_smtp_replies", "Replies that ended an attempt, by class.", "class"),
        ):
            yield _labelled(CounterMetricFamily(metric, words, labels=[label]), self._counts(name))
        for name, metric, words, label in (
            (names.QUEUE_WAIT, "mailroom_queue_wait_seconds", "From being due to the claim.", "stream"),
            (names.TO_ACCEPTED, "mailroom_time_to_250_seconds", "From the commit to the acceptance.", "stream"),
            (names.HTTP, "mailroom_http_request_seconds", "Time to answer a request.", "status"),
        ):
            histogram = HistogramMetricFamily(metric, words, labels=[label])
            for (kind, value), cell in sorted(self.cells.items()):
                if kind == name:
                    histogram.add_metric([value], _buckets(cell), cell.total)
            yield histogram

    def _counts(self, name: str) -> dict[str, int]:
        return {label: cell.count for (kind, label), cell in sorted(self.cells.items()) if kind == name}


def _buckets(cell: Measured) -> list[tuple[str, float]]:
    """Return the counts up to each bound, as Prometheus wants them."""
    upto = list(accumulate(cell.buckets.get(bucket, 0) for bucket in range(LAST + 1)))
    bounds = [(f"{end_of(bound):.4g}", float(upto[bound])) for bound in BOUNDS]
    return [*bounds, ("+Inf", float(upto[-1]))]


async def render(services: Services) -> bytes:
    """Return the page. Never raises for a database that is away: `mailroom_database_up` says so."""
    numbers = Numbers(None)
    if tracker := services.tracker:
        numbers = Numbers(tracker.watched, (tracker.spent, tracker.longest_step))
    try:
        async with asyncio.timeout(PATIENCE), services.database.begin_plain() as work:
            await _ask(work, numbers)
        numbers.database = True
    except (Unavailable, TimeoutError, psycopg.Error):
        pass
    registry = CollectorRegistry()
    registry.register(numbers)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return generate_latest(registry)


async def _ask(work: PlainWork, numbers: Numbers) -> None:
    rows: list[tuple[float]] = await work.fetch("select extract(epoch from now())::float8", {})
    numbers.now = rows[0][0]
    numbers.backlog = waits = await backlog(work)
    numbers.queues = await queues(work, {}, waits)
    numbers.tasks = await open_tasks(work)
    numbers.processes = await processes(work)
    answers = [one.facts["redis"] for one in numbers.processes if one.state == "alive" and "redis" in one.facts]
    numbers.redis = all(answers) if answers else None
    numbers.alerts = frozenset(alert.rule for alert in await current_alerts(work) if alert.firing)
    numbers.cells = await ever(work)


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)


def _labelled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float]
) -> GaugeMetricFamily | CounterMetricFamily:
    for label, value in values.items():
        family.add_metric([label], value)
    return family
