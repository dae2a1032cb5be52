"""How PostgreSQL knows that a worker is alive: an advisory lock on a connection of the worker's own.

When the process is killed, its connection ends and the lock is free; the sweep need not wait for the leases. If
the connection outlives the process (its machine lost power, or it is frozen), the leases decide.
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
"""Seconds between two checks of the connection, and between two tries to connect again."""
TAKE = "select pg_try_advisory_lock(hashtextextended(%s, 0))"

MARK = "#"
"""Part of the name of each worker that holds such a lock. A worker without the mark has its leases only."""


def new_name() -> str:
    """Return a unique name for this process: ``host:pid#random``."""
    return f"{socket.gethostname()}:{os.getpid()}{MARK}{secrets.token_hex(4)}"


class Liveness:
    """Holds the advisory lock of `worker` while the process runs. It uses one connection of `database`."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker
        self._held = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take the lock; after two seconds, or while PostgreSQL is away, keep trying in the background."""
        self._task = asyncio.create_task(self._keep(), name="presence")
        held = asyncio.create_task(self._held.wait())
        await asyncio.wait({held}, timeout=2 * LOOK_EVERY)
        held.cancel()

    async def close(self) -> None:
        """Release the lock."""
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
                logger.exception("the lock that shows this worker as alive failed; its leases still hold")
            await asyncio.sleep(LOOK_EVERY)

    async def _stay(self) -> None:
        """Take the lock, and hold it until the connection breaks. Raises `Unavailable`."""
        async with self._database.session() as connection:
            while True:
                if not self._held.is_set():  # the broken connection may still hold the lock, which does as well
                    row = await (await connection.execute(TAKE, (self._worker,))).fetchone()
                    if row and row[0]:
                        self._held.set()
                else:
                    await connection.execute("select 1")
                await connection.commit()  # the lock belongs to the session and outlives the transaction
                await asyncio.sleep(LOOK_EVERY)
