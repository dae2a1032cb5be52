"""Failures in groups: what they have in common, since when, how many, and how many were sent later after all.

Groups are made of the newest mails in trouble within a time, at most `MOST` of each state, so that the page costs
the same however many there are. The page says if there are more.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from mailroom.desk.time_limit import in_time
from mailroom.kit import clock
from mailroom.kit.database import Database, UnitOfWork
from mailroom.kit.ids import first_id

MOST = 3_000
"""Most mails of each state, and most attempts, that are grouped."""
MOST_TASKS = 500
PATIENCE = 1.0
"""Seconds that each query may take; usually it takes a twentieth of that."""
BARS = 12
"""Parts of the time that a group's trend shows."""

_NEWEST = """(
    select id, state, coalesce(reason, '') as reason, code, coalesce(enhanced, '') as enhanced,
        lower(substr(recipient, strpos(recipient, '@') + 1)) as domain, coalesce(ended_at, changed_at) as at,
        answer
    from mails where state = '{state}' and created_at >= %(since)s and reason is distinct from 'cancelled'
    order by created_at desc limit %(most)s
)"""
STATES = ("failed", "expired", "uncertain", "retrying")
# The index on state and time gives the newest mails of each state; PostgreSQL groups them.
TROUBLED = f"""
with newest as materialized ({" union all ".join(_NEWEST.format(state=state) for state in STATES)}),
placed as (
    select *, least({BARS} - 1, greatest(0, floor(
        extract(epoch from at - %(since)s) / extract(epoch from %(length)s::interval) * {BARS}
    )))::int as place from newest
)
select state, reason, code, enhanced, domain, count(*) as count, min(at) as first, max(at) as last,
    (array_agg(id order by at desc))[1] as example, (array_agg(answer order by at desc))[1] as answer,
    array[{", ".join(f"count(*) filter (where place = {bar})" for bar in range(BARS))}] as trend,
    sum(count(*)) over (partition by state) as of_state
from placed group by state, reason, code, enhanced, domain order by count(*) desc limit 500
"""  # noqa: S608  # only our own constants
RECOVERED = """
select reason, code, enhanced, domain, count(distinct mail_id) as count from (
    select tried.mail_id, coalesce(tried.reason, '') as reason, tried.code,
        coalesce(tried.enhanced, '') as enhanced,
        lower(substr(mails.recipient, strpos(mails.recipient, '@') + 1)) as domain
    from (
        select mail_id, reason, code, enhanced, ended_at from attempts where outcome = 'retrying'
        order by id desc limit %(most)s
    ) as tried join mails on mails.id = tried.mail_id
    where tried.ended_at >= %(since)s and mails.state = 'sent'
) as recovered group by reason, code, enhanced, domain order by count(*) desc limit 500
"""
TASKS = """
select id, name, coalesce(reason, '') as reason, right(traceback, 2000) as traceback,
    coalesce(ended_at, created_at) as at from tasks
where state = 'failed' and name is not null and name not in ('group', 'chain') and id >= %(low)s
order by id desc limit %(most)s
"""


@dataclass(frozen=True, slots=True)
class Cause:
    """What the mails of a group have in common."""

    reason: str
    code: int | None
    enhanced: str
    domain: str

    def search(self, since: str) -> str:
        """Return the search that finds the mails of this cause; `since` as searches write it."""
        facts = [
            "state:failed,expired,uncertain,retrying",
            f"to:@{self.domain}" if self.domain else "",
            f"code:{self.code}" if self.code else "",
            f"enhanced:{self.enhanced}" if self.enhanced else "",
            f"reason:{self.reason.replace(' ', '-')}" if self.reason else "",
            f"since:{since}",
        ]
        return " ".join(filter(None, facts))


@dataclass(slots=True)
class FailureGroup:
    """Mails in trouble for one cause."""

    cause: Cause
    states: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None
    trend: list[int] = field(default_factory=lambda: [0] * BARS)
    example: UUID | None = None
    answer: str = ""
    recovered: int = 0
    """Mails that failed like this once and were sent in a later attempt."""

    @property
    def count(self) -> int:
        """Mails in the group."""
        return self.states.total()


@dataclass(slots=True)
class TaskFailureGroup:
    """Background tasks that failed alike: the exception, and where it was raised."""

    name: str
    error: str
    place: str
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    example: UUID | None = None


@dataclass(frozen=True, slots=True)
class Failures:
    """The groups of a time, the largest first. `complete` is false if there were more than are grouped."""

    since: datetime
    groups: Sequence[FailureGroup]
    tasks: Sequence[TaskFailureGroup]
    complete: bool


class FailureReport:
    """Groups what failed."""

    def __init__(self, database: Database, budget: float = PATIENCE) -> None:
        self._database = database
        self._budget = budget

    async def groups(self, length: timedelta) -> Failures:
        """Return the failures of the last `length`. If a query takes too long, the result is incomplete."""
        now = clock.now()
        since = now - length
        groups: dict[Cause, FailureGroup] = {}
        rows = await self._ask(TROUBLED, {"since": since, "length": length, "most": MOST})
        complete = rows is not None and all(row["of_state"] < MOST for row in rows)
        for row in rows or ():
            _add(groups, row)
        for row in await self._ask(RECOVERED, {"since": since, "most": MOST}) or ():
            cause = Cause(row["reason"], row["code"], row["enhanced"], row["domain"] or "")
            if cause in groups:
                groups[cause].recovered = row["count"]
        tasks = await self._ask(TASKS, {"low": first_id(since), "most": MOST_TASKS})
        ordered = sorted(groups.values(), key=lambda group: group.count, reverse=True)
        return Failures(since, ordered, _of_tasks(tasks or ()), complete and tasks is not None)

    async def _ask(self, query: str, words: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        async def ask(work: UnitOfWork) -> list[dict[str, Any]]:
            return await work.fetch(query, words, dict_row)

        return await in_time(self._database, self._budget, ask)


def _add(groups: dict[Cause, FailureGroup], row: Mapping[str, Any]) -> None:
    cause = Cause(row["reason"], row["code"], row["enhanced"], row["domain"] or "")
    group = groups.setdefault(cause, FailureGroup(cause))
    group.states[row["state"]] += row["count"]
    group.trend = [known + more for known, more in zip(group.trend, row["trend"], strict=True)]
    group.first = min(group.first or row["first"], row["first"])
    if group.last is None or row["last"] >= group.last:
        group.last, group.example, group.answer = row["last"], row["example"], row["answer"] or ""


def _of_tasks(rows: Sequence[Mapping[str, Any]]) -> list[TaskFailureGroup]:
    groups: dict[tuple[str, str, str], TaskFailureGroup] = {}
    for row in rows:
        error, place = where_raised(row["traceback"] or "")
        key = (row["name"], error or row["reason"], place)
        group = groups.setdefault(key, TaskFailureGroup(*key))
        group.count += 1
        at: datetime = row["at"]
        group.first = min(group.first or at, at)
        if group.last is None or at >= group.last:
            group.last, group.example = at, row["id"]
    return sorted(groups.values(), key=lambda group: group.count, reverse=True)


def where_raised(traceback: str) -> tuple[str, str]:
    """Return the exception's class and its place (``file:line in function``) out of a traceback's text."""
    lines = traceback.strip().splitlines()
    places = [line.strip() for line in lines if line.lstrip().startswith('File "')]
    if not places:
        return "", ""
    file, _, rest = places[-1].removeprefix('File "').partition('", line ')
    number, _, function = rest.partition(", in ")
    error = next((line for line in reversed(lines) if line and not line[0].isspace()), "")
    return error.partition(":")[0].strip(), f"{file.rpartition('/')[2]}:{number} in {function}"
