"""The connections of one web process: Hypercorn's protocols, and an end for each that nobody can hold up.

Hypercorn waits for a peer without an end, pings no websocket that we can time, and keeps every byte that a slow
peer does not take. `TCPServer` is one connection there; ours adds an end, a limit of what waits, and our own
HTTP/1.1 (decision 15).

Check at an upgrade of Hypercorn: `TCPServer.run`, of which `Connection.run` is a copy with our protocol; `_close`,
`_read_data` and `idle_task`. `tests/integration/web/test_connections.py` fails where a promise does not hold.
"""

import asyncio
import socket
import time
from contextlib import suppress

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.typing import ConnectionState, Framework
from hypercorn.utils import parse_socket_addr

from mailroom.ops.processes.listening import BACKLOG
from mailroom.web.server.http1 import HTTP1
from mailroom.web.server.websocket_stream import Stream

TEND_EVERY = 2.0
"""Seconds between two looks at every connection."""
LINGER = 3.0
"""Seconds a peer has to take what is still to be sent when its connection closes."""
BUFFER = 16 * 1024
"""Bytes that may wait in this process for a websocket's peer; what comes later is the newest state only."""


class Connection(TCPServer):
    """One connection from accept to end."""

    http: HTTP1 | None = None

    async def run(self) -> None:
        """Serve it."""
        peer = self.writer.get_extra_info("socket")
        self._last_call: asyncio.TimerHandle | None = None
        try:
            client = parse_socket_addr(peer.family, peer.getpeername())
            server = parse_socket_addr(peer.family, peer.getsockname())
            async with TaskGroup(self.loop) as group:
                self._task_group = group
                self.protocol = self.http = HTTP1(  # type: ignore[assignment]  # what wraps it only adds HTTP/2
                    self.app,
                    self.config,
                    self.context,
                    group,
                    ConnectionState(self.state),
                    False,
                    client,
                    server,
                    self.protocol_send,
                )
                await self.idle_task.restart(group, self._idle_timeout)
                await self._read_data()
        except OSError:
            pass
        finally:
            await self._close()
            if self._last_call:
                self._last_call.cancel()
            if self.http:  # it and we would hold each other until a full garbage collection, which is long
                self.http.send = _nowhere

    async def _close(self) -> None:
        if self._last_call is None:  # closing waits for the peer to take what is left: not for ever
            self._last_call = self.loop.call_later(LINGER, self.abort)
        await super()._close()

    def tend(self, now: float) -> None:
        """Ping a websocket's peer when it is time to, and end what has no peer any more."""
        stream = self.http.stream if self.http else None
        if not isinstance(stream, Stream):
            return
        self.writer.transport.set_write_buffer_limits(high=BUFFER)
        to_send = stream.tend(now)
        if to_send is None:
            self.abort()
        elif to_send and not self.writer.transport.is_closing():
            self.writer.write(to_send)

    def abort(self) -> None:
        """End it now; what was not sent yet is lost."""
        self.writer.transport.abort()


async def _nowhere(_event: object) -> None:
    """Where a connection that is over sends."""


class Connections:
    """All of them."""

    def __init__(self, app: Framework, config: Config) -> None:
        self._app, self._config = ASGIWrapper(app), config  # type: ignore[arg-type]
        self._context = WorkerContext(None)
        self._open: dict[asyncio.Task[None], Connection] = {}
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
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        self._open[task] = Connection(self._app, loop, self._config, self._context, {}, reader, writer)
        try:
            await self._open[task]
        finally:
            del self._open[task]

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_EVERY)
            for connection in list(self._open.values()):
                connection.tend(time.monotonic())

    async def close(self, grace: float) -> bool:
        """Accept no more, and end all: those that are not over after `grace` seconds by force; then False."""
        await self._context.terminated.set()
        if self._server:
            self._server.close()  # not wait_closed: from Python 3.12 on that waits for the connections, too
        if self._tending:
            self._tending.cancel()
            with suppress(asyncio.CancelledError):
                await self._tending
        if self._open:
            await asyncio.wait(list(self._open), timeout=grace)
        forced = list(self._open.items())
        for _, connection in forced:
            connection.abort()
        if forced:
            await asyncio.wait([task for task, _ in forced], timeout=grace / 2)
        return not forced
