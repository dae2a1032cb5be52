"""Redis tells which results have changed since they were read, so that nobody has to read all of them to find out.

Server-assisted client-side caching (`CLIENT TRACKING`, Redis 6 and Valkey): the server remembers which keys a
connection read, and names each key that changes, once, on another connection, as a message of a channel.

redis-py offers this only for one connection that reads and listens at once (RESP 3). Here a pool reads and one
more connection listens. It buys most of the poller's commands: at 10,000 watched tasks the usual way runs many
times as many (`make bench-live`, decision 16).

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
"""Seconds without a word until the line is tried by a PING, and seconds the answer may take."""


class Invalidations:
    """What the connections of a pool read, and of that what changes."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._listener: int | None = None
        pool.connection_kwargs["redis_connect_func"] = self._connected

    async def __aiter__(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield keys that changed since they were read; nothing as soon as it is known what is read.

        Raises redis-py's errors: where the line is lost, and where the server cannot or may not tell.
        """
        line: Any = self._pool.make_connection()
        try:
            await line.connect()
            await _asked(line, "CLIENT", "TRACKING", "OFF")  # may we?
            self._listener = await _asked(line, "CLIENT", "ID")
            await _asked(line, "SUBSCRIBE", CHANNEL)
            await self._pool.disconnect()  # those connected from now on are followed
            yield ()
            while True:
                yield await _next(line)
        finally:
            self._listener = None
            await line.disconnect()

    async def _connected(self, connection: Any) -> None:
        """Greet the server on a connection of the pool, and have what it reads followed."""
        await connection.on_connect()
        if self._listener is not None:
            try:
                await _asked(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", self._listener)
            except ResponseError:
                self._listener = None  # that line is gone; it will be noticed there, too


async def _asked(connection: Any, *command: Any) -> Any:
    await connection.send_command(*command)
    return await connection.read_response()


async def _next(line: Any) -> Sequence[bytes]:
    told = await line.read_response(timeout=QUIET)
    if told is None:
        await line.send_command("PING")
        told = await line.read_response(timeout=QUIET)
        if told is None:
            raise ConnectionLost("the server does not answer")
    keys = told[2] if told[0] == b"message" else None
    return keys or ()  # none of them: all are gone (FLUSHALL), which says nothing of any task
