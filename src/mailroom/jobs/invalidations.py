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
"""Seconds of silence until a PING tries the connection, and seconds that its answer may take."""


class Invalidations:
    """The keys that a pool's connections read, when they change."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._listener: int | None = None
        pool.connection_kwargs["redis_connect_func"] = self._on_connect

    async def __aiter__(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield keys that changed since they were read. The first, empty one says that the server follows now.

        Raises redis-py's errors: where the connection is lost, and where the server cannot or may not tell.
        """
        connection: Any = self._pool.make_connection()
        try:
            await connection.connect()
            await _ask(connection, "CLIENT", "TRACKING", "OFF")  # raises where that is not allowed
            self._listener = await _ask(connection, "CLIENT", "ID")
            await _ask(connection, "SUBSCRIBE", CHANNEL)
            await self._pool.disconnect()  # the connections made from now on are followed
            yield ()
            while True:
                yield await _next(connection)
        finally:
            self._listener = None
            await connection.disconnect()

    async def _on_connect(self, connection: Any) -> None:
        """Greet the server on a new connection of the pool, and have the keys that it reads followed."""
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
    return keys or ()  # no keys: all are gone (FLUSHALL), which is no news of any task
