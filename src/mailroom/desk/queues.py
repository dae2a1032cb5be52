"""What waits in the queues, and how the mail server replies, for the desk's page about workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mailroom.desk.backlog import MOST, Backlog
from mailroom.kit.database import PlainWork
from mailroom.mail.messages.draft import STREAMS
from mailroom.statistics import names
from mailroom.statistics.readings import Cells, Measured

WINDOW = timedelta(minutes=10)
# Uses the two partial indexes: there is no index on the state.
TASKS = """
select state, count(*) from (
    (select state from tasks where nudge_at is not null limit %(most)s)
    union all (select state from tasks where lease_until is not null and nudge_at is null limit %(most)s)
) as open where state in ('queued', 'running', 'retrying') group by state
"""
LATELY = """
select name, label, count, total, buckets, counts from statistics
where span = 'minute' and at >= now() - %(window)s and name = any(%(names)s)
"""
DEPTHS = """
select stream, state, count(*) from (
    select stream, state from mails where state in ('queued', 'retrying', 'scheduled') limit %(most)s
) as waiting group by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """One stream: what waits (up to `MOST` in all), since when, and how many came and went within `WINDOW`."""

    stream: str
    queued: int
    retrying: int
    scheduled: int
    oldest: datetime | None
    came: int
    went: int


async def lately(work: PlainWork) -> Cells:
    """Return what was counted and measured within `WINDOW`."""
    wanted = [names.CREATED, names.TO_ACCEPTED, names.REPLIES, names.STAGE, names.QUEUE_WAIT, names.TASKS]
    found: dict[tuple[str, str], Measured] = {}
    rows: list[Any] = await work.fetch(LATELY, {"window": WINDOW, "names": wanted})
    for name, label, *numbers in rows:
        found.setdefault((name, label), Measured()).merge(*numbers)
    return found


async def queues(work: PlainWork, seen: Cells, waits: Backlog) -> Sequence[Queue]:
    """Return the streams. `seen` is the result of `lately`, `waits` that of `backlog`."""
    oldest = {"transactional": waits.oldest, "bulk": waits.oldest_bulk}
    depths: dict[tuple[str, str], int] = {}
    rows: list[Any] = await work.fetch(DEPTHS, {"most": MOST + 1})
    for stream, state, number in rows:
        depths[stream, state] = number
    empty = Measured()
    return [
        Queue(
            stream,
            queued=depths.get((stream, "queued"), 0),
            retrying=depths.get((stream, "retrying"), 0),
            scheduled=depths.get((stream, "scheduled"), 0),
            oldest=oldest.get(stream),
            came=seen.get((names.CREATED, stream), empty).count,
            went=seen.get((names.TO_ACCEPTED, stream), empty).count,
        )
        for stream in STREAMS
    ]


async def open_tasks(work: PlainWork) -> Mapping[str, int]:
    """Return how many background tasks have not ended, by state; `MOST` in sum at most."""
    rows: list[Any] = await work.fetch(TASKS, {"most": MOST + 1})
    return dict(rows)
