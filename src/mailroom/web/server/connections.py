"""The connections of one web process: limited by address and in all, checked and ended together."""

import asyncio
import socket
import time
from collections import Counter
from contextlib import suppress

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.typing import Framework

from mailroom.ops.processes.listening import BACKLOG
from mailroom.web.client import limited_as
from mailroom.web.server.connection import LINGER, Connection

TEND_EVERY = 2.0
"""Seconds between two checks of every connection."""
FILES_FOR_SERVERS = 96
"""Open files kept free for PostgreSQL, Redis and logs: connections may not take all that the system allows."""
TOO_MANY = (
    b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 10\r\n\r\n",
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 10\r\n\r\n",
)
"""The answers to a connection beyond the limit of its address, and beyond the limit in all."""


class Connections:
    """All connections. `per_address` bounds those of one client; None if all clients come through a proxy."""

    def __init__(
        self, app: Framework, config: Config, *, per_address: int | None = None, most: int | None = None
    ) -> None:
        self._app, self._config = ASGIWrapper(app), config  # type: ignore[arg-type]
        self._context = WorkerContext(None)
        self._per_address, self._most = per_address, most or most_connections()
        self._open: dict[asyncio.Task[None], Connection] = {}
        self._addresses: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._tending: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    async def listen(self, listening: socket.socket) -> None:
        """Begin to accept."""
        self._server = await asyncio.start_server(self._accept, sock=listening, backlog=BACKLOG)
        self._tending = asyncio.create_task(self._tend(), name="connections")

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = limited_as((writer.get_extra_info("peername") or ("unknown",))[0])
        is_full = len(self._open) >= self._most
        if is_full or (self._per_address and self._addresses[address] >= self._per_address):
            _refuse(writer, TOO_MANY[is_full])
            return
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        self._open[task] = Connection(self._app, loop, self._config, self._context, {}, reader, writer)
        self._addresses[address] += 1
        try:
            await self._open[task]
        finally:
            del self._open[task]
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_EVERY)
            now = time.monotonic()
            for connection in list(self._open.values()):
                connection.tend(now)

    async def close(self, *, sockets: float, requests: float, cut: float) -> bool:
        """Accept no more, and end all connections; return False if some were cut.

        Times are seconds from now. At `sockets` the remaining websockets are cut, at `requests` all other
        connections. At `cut` this stops waiting for them to end.
        """
        began = time.monotonic()
        await self._context.terminated.set()
        if self._server:
            self._server.close()  # not wait_closed: from Python 3.12 on that waits for the connections, too
        if self._tending:
            self._tending.cancel()
            with suppress(asyncio.CancelledError):
                await self._tending
        await self._until(began + sockets)
        forced = [connection for connection in self._open.values() if connection.is_websocket]
        for connection in forced:
            connection.abort()
        await self._until(began + requests)
        left = list(self._open.values())
        for connection in left:
            connection.abort()
        await self._until(began + cut)
        return not (forced or left)

    async def _until(self, moment: float) -> None:
        """Wait until all have ended, or until `moment` of the monotonic clock."""
        if self._open:
            await asyncio.wait(list(self._open), timeout=max(0.0, moment - time.monotonic()))


def _refuse(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    writer.close()
    asyncio.get_running_loop().call_later(LINGER, writer.transport.abort)


def most_connections() -> int:
    """Return how many connections the open files that the system allows leave room for."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 10_000
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else max(soft - FILES_FOR_SERVERS, soft // 2)
