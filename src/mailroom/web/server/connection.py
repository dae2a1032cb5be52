"""One connection from accept to end, with limits that end it even if the peer stalls.

What is overridden (Hypercorn 0.18, `TCPServer`), and why:

- `run`: builds our `HTTP1` without the wrapper that only adds HTTP/2, and breaks the reference cycle between
  connection and protocol. Otherwise an ended connection waits for a full garbage collection (0.6 s with 3,000
  sockets).
- `protocol_send`: counts what is written, so that `tend` sees whether the peer takes any of it. Hypercorn waits
  forever for a peer that takes nothing.

Check at an upgrade: the arguments of `TCPServer` and `H11Protocol`; that all bytes go through `protocol_send`; the
names `idle_task`, `_idle_timeout`, `_read_data`, `_close`. `tests/integration/web/test_connections.py` and
`test_slow_peers.py` fail where this does not hold.
"""

import logging
import time

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Event, RawData
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from mailroom.kit.outages import is_away
from mailroom.web.server.http1 import HTTP1
from mailroom.web.server.websocket_stream import Stream

logger = logging.getLogger(__name__)

STALLED_FOR = 20.0
"""A peer that takes no byte of what waits for it for so many seconds counts as gone."""
LINGER = 3.0
"""The same once the connection is closing."""
LONGEST_CLOSE = 60.0
"""Seconds a connection that is closing has at most, however steadily the peer takes what is left."""
BUFFER = 16 * 1024
"""Bytes that may wait in this process for a websocket's peer; beyond that, only the newest state is kept."""


class Connection(TCPServer):
    """One connection."""

    http: HTTP1 | None = None
    _written = _taken = 0
    _moved_at = _closing_since = 0.0

    async def run(self) -> None:
        """Serve the connection."""
        peer = self.writer.get_extra_info("socket")
        self._moved_at = time.monotonic()
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
                await self.idle_task.stop()  # else the group waits for it, for seconds after the peer has gone
        except Exception as error:
            if not _is_peers(error):
                logger.exception("a connection ended by a fault of ours")
        finally:
            await self._close()
            if self.http:
                self.http.send = _nowhere

    async def protocol_send(self, event: Event) -> None:
        """Send what the protocol wants sent."""
        if isinstance(event, RawData):
            self._written += len(event.data)
        await super().protocol_send(event)

    @property
    def is_websocket(self) -> bool:
        """True while the connection is a websocket's."""
        return isinstance(self.http.stream if self.http else None, Stream)

    def tend(self, now: float) -> None:
        """End the connection if its peer takes nothing; ping the peer of a websocket when that is due."""
        if self._is_stalled(now):
            self.abort()
            return
        stream = self.http.stream if self.http else None
        if not isinstance(stream, Stream):
            return
        self.writer.transport.set_write_buffer_limits(high=BUFFER)
        to_send = stream.tend(now)
        if to_send is None:
            self.abort()
        elif to_send and not self.writer.transport.is_closing():
            self._written += len(to_send)
            self.writer.write(to_send)

    def abort(self) -> None:
        """End it now; what was not sent yet is lost."""
        self.writer.transport.abort()

    def _is_stalled(self, now: float) -> bool:
        transport = self.writer.transport
        taken = self._written - transport.get_write_buffer_size()
        if taken != self._taken or taken == self._written:
            self._taken, self._moved_at = taken, now
        if not transport.is_closing():
            return now - self._moved_at > STALLED_FOR
        self._closing_since = self._closing_since or now
        # With nothing left to send, the time counts from the moment when closing began.
        moved_at = self._moved_at if taken < self._written else self._closing_since
        return now - max(moved_at, self._closing_since) > LINGER or now - self._closing_since > LONGEST_CLOSE


def _is_peers(error: BaseException) -> bool:
    """Tell whether the peer ended the connection, and with it everything that was under way in it."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_peers(one) for one in error.exceptions)
    return is_away(error)


async def _nowhere(_event: object) -> None:
    """Drop what a connection that has ended sends."""
