"""The register of processes: each writes its own row every few seconds, and reads what operators ask of it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal

from psycopg.types.json import Jsonb

from mailroom.desk.processes.release import release
from mailroom.desk.processes.surroundings import Surroundings
from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable

logger = logging.getLogger(__name__)

Role = Literal["worker", "web", "submission"]

EVERY = 5.0
"""Seconds between two reports."""
KEPT = timedelta(days=9)
"""How long the row of a process that is gone stays: longer than the longest chart."""

REPORT = """
insert into processes as known (name, role, host, pid, version, facts)
values (%(name)s, %(role)s, %(host)s, %(pid)s, %(version)s, %(facts)s)
on conflict (name) do update set seen_at = now(), ended_at = null, facts = excluded.facts
returning wish
"""
END = "update processes set ended_at = now(), seen_at = now() where name = %(name)s"
FORGET = "delete from processes where seen_at < now() - %(kept)s"


class Registration:
    """Keeps the row of this process. `name` is ``host:pid#random``, as `new_name` makes it.

    `facts` returns what the process says of itself, besides its `surroundings`. `on_wish` is called with what an
    operator asks of it, each time that changes.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        role: Role,
        *,
        surroundings: Surroundings,
        facts: Callable[[], Mapping[str, Any]] = dict,
        on_wish: Callable[[str | None], None] = lambda _wish: None,
    ) -> None:
        host, _, rest = name.rpartition(":")
        pid = int(rest.partition("#")[0])
        self._row = {"name": name, "role": role, "host": host, "pid": pid, "version": release()}
        self._database = database
        self._facts = facts
        self._surroundings = surroundings
        self._on_wish = on_wish
        self._wish: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to report, in the running loop."""
        self._task = asyncio.create_task(self._run(), name="register")

    async def close(self) -> None:
        """Stop, and say that this process has ended."""
        if self._task is None:
            return
        self._closed = True
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=2)
        try:
            async with asyncio.timeout(2):
                await self._database.fetch(END, self._row)
        except (Unavailable, TimeoutError):
            pass  # it counts as gone once nobody has seen it for a while
        await self._surroundings.close()

    async def report(self) -> None:
        """Write the row once. Raises `Unavailable`."""
        facts = Jsonb({**await self._surroundings.look(), **self._facts()})
        rows: list[Any] = await self._database.fetch(REPORT, {**self._row, "facts": facts})
        wish = rows[0][0]
        if wish != self._wish:
            self._wish = wish
            self._on_wish(wish)

    async def _run(self) -> None:
        while True:
            try:
                await self.report()
            except Unavailable:
                pass  # the sweep logs that
            except Exception:
                logger.exception("this process could not be registered; the next report tries again")
            if self._closed:  # redis-py sometimes takes a cancellation for a timeout
                return
            await asyncio.sleep(EVERY)


async def forget_old(database: Database) -> None:
    """Delete rows of processes that are long gone; the sweep calls this."""
    await database.fetch(FORGET, {"kept": KEPT})
