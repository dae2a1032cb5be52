"""How PostgreSQL knows that a worker lives: an advisory lock on a connection of the worker's own.

When the process is killed its connection ends, the lock is free, and the sweep need not wait for the leases. Where
the connection outlives the process (its machine lost power, or it is frozen), the lease decides as before.
"""

import asyncio
import logging
import os
import secrets
import socket

from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks at one's own connection, and between tries to have it again."""
TAKE = "select pg_try_advisory_lock(hashtextextended(%s, 0))"

MARK = "#"
"""In the name of a worker that keeps a presence; one without has its leases only."""


def new_name() -> str:
    """Return a name for this process that no other has had: ``host:pid#random``."""
    return f"{socket.gethostname()}:{os.getpid()}{MARK}{secrets.token_hex(4)}"


class Liveness:
    """Holds the lock of `worker` while the process lives. It costs one connection of `database`."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker
        self._held = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take the lock; while PostgreSQL is away, go on trying in the background."""
        self._task = asyncio.create_task(self._keep(), name="presence")
        held = asyncio.create_task(self._held.wait())
        await asyncio.wait({held}, timeout=2 * LOOK_EVERY)
        held.cancel()

    async def close(self) -> None:
        """Let go of the lock."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            try:
                await self._stay()
            except Unavailable:
                self._held.clear()
            except Exception:
                logger.exception("this worker's presence is not known; its leases are")
            await asyncio.sleep(LOOK_EVERY)

    async def _stay(self) -> None:
        """Hold the lock as long as the connection is good."""
        async with self._database.connection() as connection:
            while True:
                if not self._held.is_set():  # a connection that broke may hold it still: that will do meanwhile
                    row = await (await connection.execute(TAKE, (self._worker,))).fetchone()
                    if row and row[0]:
                        self._held.set()
                else:
                    await connection.execute("select 1")
                await connection.commit()  # the lock is the session's, and outlives the transaction
                await asyncio.sleep(LOOK_EVERY)
