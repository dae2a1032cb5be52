"""Whether this database is the one that workers wrote to last, or was restored from a copy of it.

In a restored database, mails wait that have gone out since the backup. Two things tell it apart: a row in it, and
a time that is kept outside of it:

- The row holds the cluster's system identifier, the database's OID, and the number of the transaction that wrote
  it, which PostgreSQL keeps in the row's column `xmin`, too. A dump that is loaded has another `xmin`, however it
  is loaded; a database made of a template has another OID. A standby has both the same: a failover is no restore.
- A copy of the files (pg_basebackup, point-in-time recovery, a snapshot of the disk) has the same row. So the row
  also has the time of the workers' last heartbeat, which is kept in Redis, too: a database that is minutes behind
  it is an older one. A standby that was promoted is behind by its lag, which is seconds.

Why this and nothing else: docs/decisions/0024-a-restored-database-is-known-by-its-own-row.md.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from psycopg.errors import InsufficientPrivilege, UndefinedTable

from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable

logger = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds for which the result of a look is used."""
BEAT_EVERY = timedelta(seconds=10)
BEHIND = timedelta(minutes=2)
"""How far a database may be behind the heartbeat that Redis has: by far less than this after a failover."""

CLUSTER = "(select system_identifier::text from pg_control_system())"
_SAME = (
    "xmin::text::bigint = mod(written_by, 4294967296) and system_identifier = {cluster} "
    "and database_oid = (select oid::bigint from pg_database where datname = current_database())"
)
LOOK = f"""
select exists (select from database_identity where id = 1) as known,
    exists (select from database_identity where id = 1 and {_SAME}) as same,
    (select heartbeat_at from database_identity where id = 1) as heartbeat_at,
    exists (select from mails where nudge_at is not null) as in_flight,
    {{cluster}} || '/' || (select oid from pg_database where datname = current_database()) as name
"""  # noqa: S608  # only our own constants
STAMP = """
insert into database_identity as known (id, system_identifier, database_oid, written_by, heartbeat_at)
values (1, {cluster}, (select oid::bigint from pg_database where datname = current_database()),
    pg_current_xact_id()::text::bigint, clock_timestamp())
on conflict (id) do update set system_identifier = excluded.system_identifier,
    database_oid = excluded.database_oid, written_by = excluded.written_by, heartbeat_at = excluded.heartbeat_at
returning heartbeat_at
"""
BEAT = f"""
update database_identity set written_by = pg_current_xact_id()::text::bigint, heartbeat_at = clock_timestamp()
where id = 1 and heartbeat_at < clock_timestamp() - interval '{BEAT_EVERY.total_seconds()} s' and {_SAME}
returning heartbeat_at
"""  # noqa: S608
NO_CLUSTER = "''"
"""Used if the database's user may not ask for the system identifier."""


def statement(text: str, cluster: str = CLUSTER) -> str:
    """Return one of these statements with `cluster`, the SQL of the cluster's identifier, filled in."""
    return text.replace("{cluster}", cluster)


class DatabaseRestored(Unavailable):
    """The database was restored from a backup. Mails that wait in it may have gone out since the backup.

    Stop all workers, then run `mailroom restored --from TIME`. Workers start after that.
    """


class Witness(Protocol):
    """Keeps a time outside the database, by the database's name. Blocks shortly; never raises."""

    def read(self, name: str) -> datetime | None:
        """Return the time, None if there is none or nobody answers."""

    def write(self, name: str, at: datetime) -> None:
        """Keep the time, if possible."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a database found."""

    known: bool
    same: bool
    heartbeat_at: datetime | None
    in_flight: bool
    name: str

    def restored(self, witnessed: datetime | None) -> bool:
        """Return whether it was restored while mails were in flight; `witnessed`: the heartbeat kept outside."""
        if not self.known or not self.in_flight:  # nothing in it can go out twice
            return False
        behind = bool(witnessed and self.heartbeat_at and witnessed - self.heartbeat_at > BEHIND)
        return behind or not self.same


class RestoreGuard:
    """Keeps a worker process from sending mails of a restored database; `end_worker` is called for one."""

    def __init__(
        self,
        database: Database,
        witness: Witness | None = None,
        end_worker: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
    ) -> None:
        self._database = database
        self._end_worker = end_worker
        self._witness = witness
        self._cluster = CLUSTER
        self._good_until = 0.0
        self._restored = False
        self._one_look = asyncio.Lock()

    async def check(self) -> None:
        """Return if mails may be sent. Raises `DatabaseRestored` (and ends the worker), or `Unavailable`."""
        if time.monotonic() < self._good_until:
            return
        async with self._one_look:
            if time.monotonic() < self._good_until:
                return
            await self._look()
            self._good_until = time.monotonic() + LOOK_EVERY

    async def _look(self) -> None:
        look = Look(*(await self._run(LOOK))[0])
        witnessed = await asyncio.to_thread(self._witness.read, look.name) if self._witness else None
        if look.restored(witnessed):  # look again: another worker's heartbeat may have come in between
            look = Look(*(await self._run(LOOK))[0])
        if look.restored(witnessed):
            if not self._restored:
                self._restored = True
                logger.error("%s", " ".join(str(DatabaseRestored()).split()))
                self._end_worker()  # when it is started again, it says so and ends
            raise DatabaseRestored
        behind = bool(witnessed and look.heartbeat_at and witnessed - look.heartbeat_at > BEHIND)
        beats = await self._run(BEAT if look.same and not behind else STAMP)
        if beats and self._witness:
            await asyncio.to_thread(self._witness.write, look.name, beats[0][0])

    async def _run(self, text: str) -> list[Any]:
        try:
            return await self._database.fetch(statement(text, self._cluster), {})
        except InsufficientPrivilege:
            if self._cluster == NO_CLUSTER:
                raise
            self._cluster = NO_CLUSTER
            return await self._run(text)
        except UndefinedTable as error:
            raise Unavailable from error  # the migrations have not run yet
