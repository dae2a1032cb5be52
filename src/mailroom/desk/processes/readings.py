"""Reads the register: which processes run, since when, and when there were starts and deploys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from psycopg.rows import class_row

from mailroom.kit.database import PlainWork
from mailroom.statistics.names import ATTEMPTS

State = Literal["alive", "unknown", "gone", "ended"]

SEEN_WITHIN = timedelta(seconds=20)
"""A web or submission process that has reported within this time counts as alive."""
GONE_AFTER = timedelta(minutes=2)
"""A process that has not reported for so long counts as gone; until then its state is unknown."""
SHOWN_FOR = timedelta(hours=1)
"""How long a process that is gone or ended is listed. A worker that vanished is listed for nine days."""

# A worker is alive while its advisory lock is held (decision 10). The other processes are known by their reports.
LIST = """
select p.*, now() as now, exists (
    select from pg_locks
    where locktype = 'advisory' and objsubid = 1 and granted
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32 | objid::bigint) = hashtextextended(p.name, 0)
) as locked, coalesce((
    select sum(count) from statistics
    where span = 'minute' and at = date_trunc('minute', now() - interval '1 min') and name = %(attempts)s
        and process = p.name
), 0)::int as last_minute
from processes p
where seen_at > now() - %(shown)s or (ended_at is null and role = 'worker' and seen_at > now() - interval '9 days')
order by role desc, host, pid
"""
STARTS = """
select started_at, role, version, host, pid,
    started_at = min(started_at) over (partition by version)
        and exists (select from processes old where old.started_at < p.started_at and old.version <> p.version)
        as deploy
from processes p where started_at >= %(since)s and role in ('worker', 'web') order by started_at
"""
LAST_WORKER = """
select max(coalesce(ended_at, seen_at)) from processes where role = 'worker'
"""
WISH = "update processes set wish = %(wish)s where name = %(name)s and role = 'worker' returning name"


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process, as the register has it."""

    name: str
    role: str
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    wish: str | None
    facts: dict[str, Any]
    now: datetime
    locked: bool
    last_minute: int
    """Attempts that ended in the last full minute."""

    @property
    def state(self) -> State:
        """``unknown``: it holds no lock or has not reported, but may be alive (the database was away, say)."""
        if self.ended_at is not None:
            return "ended"
        age = self.now - self.seen_at
        if self.locked or (self.role != "worker" and age < SEEN_WITHIN):
            return "alive"
        return "unknown" if age < GONE_AFTER else "gone"


@dataclass(frozen=True, slots=True)
class Start:
    """The start of a worker or web process, for charts; `deploy` if the process was the first of its version."""

    started_at: datetime
    role: str
    version: str
    host: str
    pid: int
    deploy: bool


async def processes(work: PlainWork) -> list[ProcessRow]:
    """Return the processes there are, and those that `SHOWN_FOR` still lists."""
    return await work.fetch(LIST, {"shown": SHOWN_FOR, "attempts": ATTEMPTS}, class_row(ProcessRow))


async def starts(work: PlainWork, since: datetime) -> Sequence[Start]:
    """Return the starts of workers and web processes since then, oldest first."""
    return await work.fetch(STARTS, {"since": since}, class_row(Start))


async def last_worker_seen(work: PlainWork) -> datetime | None:
    """Return when a worker was seen last; None if there never was one."""
    rows: list[Any] = await work.fetch(LAST_WORKER, {})
    seen: datetime | None = rows[0][0]
    return seen


async def ask(work: PlainWork, name: str, wish: str | None) -> bool:
    """Ask a worker to ``drain`` or ``stop``, or with None to go on; False if there is none of this name."""
    return bool(await work.fetch(WISH, {"name": name, "wish": wish}))
