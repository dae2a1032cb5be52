"""Background tasks for the desk: lists by name and state, and what is usual for each name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from sqlalchemy import Select, String, cast, select

from mailroom.desk.slices import LAST_ID, Page, Window, page_of_slices
from mailroom.desk.time_limit import BUDGET, in_time
from mailroom.kit import clock
from mailroom.kit.database import Database, UnitOfWork
from mailroom.kit.ids import first_id
from mailroom.tasks.models import Task

MOST = 5_000
"""How many of the newest tasks the statistics of names cover."""
USUAL = timedelta(days=7)
NAMES = """
with newest as materialized (
    select name, state, extract(epoch from ended_at - began_at) as seconds from tasks
    where name is not null and id >= %(low)s order by id desc limit %(most)s
)
select name, count(*) as count, count(*) filter (where state = 'failed') as failed,
    count(*) filter (where state in ('queued', 'running', 'retrying')) as open,
    percentile_cont(0.5) within group (order by seconds) filter (where state = 'done') as p50,
    percentile_cont(0.99) within group (order by seconds) filter (where state = 'done') as p99
from newest group by name order by count(*) desc, name limit 100
"""


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks are meant; empty fields do not narrow it."""

    name: str = ""
    state: str = ""
    words: str = ""
    """A part of the arguments, as JSON writes them."""
    since: timedelta = USUAL


@dataclass(frozen=True, slots=True)
class NameStatistics:
    """What is usual for the tasks of a name; `p50` and `p99` are seconds, None if none is done."""

    name: str
    count: int
    failed: int
    open: int
    p50: float | None
    p99: float | None


class TaskDesk:
    """Reads tasks for the desk."""

    def __init__(self, database: Database, budget: float = BUDGET) -> None:
        self._database = database
        self._budget = budget

    async def page(self, wanted: TaskFilter, *, before: UUID | None = None, limit: int = 50) -> Page[Task]:
        """Return at most `limit` tasks. Parts of groups and chains are included only if a name is asked for.

        It looks at slices of time, as searches for mails do. Raises `Unavailable`.
        """
        now = clock.now()
        since = now - wanted.since
        return await page_of_slices(
            self._database,
            Window(first_id(since), before or LAST_ID, since, None),
            now,
            lambda window, most: _query(wanted, window, most),
            limit=limit,
            budget=self._budget,
        )

    async def parts(self, work: UnitOfWork, parent: UUID, *, limit: int = 200) -> Sequence[Task]:
        """Return the parts of a group or chain in order, at most `limit`."""
        mine = select(Task).where(Task.part_of == parent).order_by(Task.place).limit(limit)
        return (await work.session.scalars(mine)).all()

    async def names(self) -> dict[str, NameStatistics]:
        """Return what is usual for each name among the newest tasks; nothing if that takes too long."""
        words: Mapping[str, Any] = {"low": first_id(clock.now() - USUAL), "most": MOST}

        async def ask(work: UnitOfWork) -> list[dict[str, Any]]:
            return await work.fetch(NAMES, words, dict_row)

        rows = await in_time(self._database, self._budget, ask) or []
        return {row["name"]: NameStatistics(**row) for row in rows}


def _query(wanted: TaskFilter, window: Window, limit: int) -> Select[Task]:
    which = Task.name == wanted.name if wanted.name else Task.part_of.is_(None)
    query = select(Task).where(Task.name.is_not(None), which, Task.id >= window.low, Task.id < window.high)
    if wanted.state:
        query = query.where(Task.state == wanted.state)
    if wanted.words:
        query = query.where(cast(Task.arguments, String).icontains(wanted.words, autoescape=True))
    return query.order_by(Task.id.desc()).limit(limit)
