"""Whether this process could do its work now: PostgreSQL answers and takes writes, Redis answers."""

import asyncio
import time

from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable

PATIENCE = 2.0
"""Seconds a server of ours may take to answer before it counts as away."""
WRITE_EVERY = 10.0
"""Seconds between two checks that PostgreSQL can write. Each costs it some milliseconds."""

OK, AWAY, READ_ONLY, FULL = "ok", "does not answer", "takes no writes", "has no room left on its disk"

ANSWERS = "select pg_is_in_recovery() or current_setting('transaction_read_only')::bool"
# No statement asks PostgreSQL for the free space of its disk. So it sorts more than fits into 64 KB: that writes
# a temporary file beside the data and stores nothing.
WRITES = (
    "set local work_mem = '64kB'",
    "select count(*) from (select n from generate_series(1, 20000) n order by n desc offset 1) as sorted",
)


class Readiness:
    """Asks PostgreSQL as often as it is asked, and has it write a little once in `WRITE_EVERY` seconds."""

    def __init__(self, database: Database, *, write_every: float = WRITE_EVERY) -> None:
        self._database = database
        self._write_every = write_every
        self._wrote_at = -write_every
        self._could_write = True

    async def of_database(self) -> str:
        """Return `OK`, or what is wrong."""
        try:
            async with asyncio.timeout(PATIENCE):
                if await self._is_read_only():
                    return READ_ONLY
        except (Unavailable, TimeoutError):
            return AWAY
        if time.monotonic() - self._wrote_at >= self._write_every:
            self._wrote_at = time.monotonic()
            self._could_write = await self._writes()
        return OK if self._could_write else FULL

    async def _is_read_only(self) -> bool:
        async with self._database.connection() as connection:
            row = await (await connection.execute(ANSWERS)).fetchone()
        return bool(row and row[0])

    async def _writes(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE), self._database.connection() as connection:
                for statement in WRITES:
                    await connection.execute(statement.encode())
        except (Unavailable, TimeoutError):
            return False
        return True
