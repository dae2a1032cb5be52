"""Redis tells which results have changed since they were read, so that nobody has to read all of them to find out.

Server-assisted client-side caching (`CLIENT TRACKING`, Redis 6 and Valkey): the server remembers which keys a
connection read, and names each key that changes, once, on another connection, as a message of a channel.

redis-py offers this only for one connection that reads and listens at once (RESP 3). Here a pool reads and one
more connection listens. This saves most of the poller's commands: without it, 10,000 watched tasks take many times
as many (`make bench-live`, decision 16).

Check at an upgrade of redis-py: the pool's `redis_connect_func` and `make_connection`; that a connection's
`on_connect`, `send_command` and `read_response(timeout=…)` may be called by hand.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import ResponseError

CHANNEL = "__redis__:invalidate"
QUIET = 10.0
"""Seconds of silence after which a PING checks the connection, and seconds that its reply may take."""


class Invalidations:
    """Tells which of the keys that a pool's connections read have changed."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._listener: int | None = None
        pool.connection_kwargs["redis_connect_func"] = self._on_connect

    async def __aiter__(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield keys that changed since they were read. The first, empty list: the server tracks them now.

        Raises redis-py's errors if the connection is lost, or if the server cannot or may not track keys.
        """
        connection: Any = self._pool.make_connection()
        try:
            await connection.connect()
            await _ask(connection, "CLIENT", "TRACKING", "OFF")  # raises if that is not allowed
            self._listener = await _ask(connection, "CLIENT", "ID")
            await _ask(connection, "SUBSCRIBE", CHANNEL)
            await self._pool.disconnect()  # the connections made from now on are tracked
            yield ()
            while True:
                yield await _next(connection)
        finally:
            self._listener = None
            await connection.disconnect()

    async def _on_connect(self, connection: Any) -> None:
        """Greet the server on a new connection of the pool, and have the keys that it reads tracked."""
        await connection.on_connect()
        if self._listener is not None:
            try:
                await _ask(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", self._listener)
            except ResponseError:
                self._listener = None  # the listening connection is gone, which `__aiter__` notices, too


async def _ask(connection: Any, *command: Any) -> Any:
    await connection.send_command(*command)
    return await connection.read_response()


async def _next(connection: Any) -> Sequence[bytes]:
    message = await connection.read_response(timeout=QUIET)
    if message is None:
        await connection.send_command("PING")
        message = await connection.read_response(timeout=QUIET)
        if message is None:
            raise ConnectionLost("the server does not answer")
    keys = message[2] if message[0] == b"message" else None
    return keys or ()  # no keys: all are gone (FLUSHALL), which says nothing about any task
