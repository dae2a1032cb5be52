"""A connection to PostgreSQL with a time limit for every answer, and with the settings that we rely on.

This subclasses psycopg's connection and overrides `wait`, through which every round trip passes. Why: a firewall
or load balancer may swallow the bytes of a connection while TCP stays alive and acknowledges them. libpq's
keepalives and `tcp_user_timeout` do not notice that, and psycopg waits for ever.

It costs 9 µs of 105 µs of processor time for a statement (measured on 4,000).

Check at an upgrade of psycopg: `wait` takes a `timeout` and raises `_WaitTimeout` (3.3.9 and later). The tests
`unit/test_house_internals.py` and `integration/kit/test_postgres_connection.py` fail if that has changed.
"""

from collections.abc import Generator, Mapping
from typing import Any, Self, TypeVar

import psycopg
from psycopg import IsolationLevel
from psycopg.errors import OperationalError, _WaitTimeout

Result = TypeVar("Result")

ANSWER_SECONDS = 20.0
"""How long one answer may take. No statement of ours takes a tenth of that; a longer limit keeps mails waiting."""

KEEP_ALIVE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""For libpq: it notices in less than half a minute that a server has vanished. The last is in milliseconds."""

_FOLLOWED = {
    "client_encoding": "'UTF8'",
    "datestyle": "'ISO'",  # psycopg reads no other
    "timezone": "'UTC'",
    "standard_conforming_strings": "on",
}
"""Settings that poolers keep for each of their clients, in every mode."""
_OF_THE_SESSION = {
    "intervalstyle": "'postgres'",  # as datestyle
    "default_transaction_isolation": "'read committed'",  # statements are written for it
    "idle_session_timeout": "0",  # a connection of the pool may rest
}


def _set(settings: Mapping[str, str]) -> str:
    return "; ".join(f"set {name} = {value}" for name, value in settings.items())


RELIED_ON = _set({**_FOLLOWED, **_OF_THE_SESSION})
"""Settings that may be different for a server, database or role."""


class PostgresConnection(psycopg.AsyncConnection[Any]):
    """psycopg's connection with a limit of `ANSWER_SECONDS` for each answer, and the settings we rely on."""

    answer_seconds = ANSWER_SECONDS
    relied_on = RELIED_ON

    @classmethod
    async def connect(cls, conninfo: str = "", *, autocommit: bool = False, **options: Any) -> Self:
        """Connect. Raises `OperationalError`."""
        connection = await super().connect(conninfo, autocommit=True, **options)
        try:
            await connection.execute(cls.relied_on, prepare=False)
            await connection.set_autocommit(autocommit)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def wait(
        self,
        gen: Generator[Any, Any, Result],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109  # psycopg's signature
    ) -> Result:
        """Wait for an answer. If none comes in time, the connection is closed. Raises `OperationalError` then."""
        try:
            return await super().wait(gen, interval, timeout or self.answer_seconds)
        except _WaitTimeout:
            self.pgconn.finish()
            raise OperationalError(f"PostgreSQL gave no answer within {self.answer_seconds:g} s") from None


class PooledConnection(PostgresConnection):
    """A connection to a pooler in transaction mode, which may give each transaction another server connection.

    Of the settings of the session, the isolation level is sent with each BEGIN instead. The style of intervals
    does not matter, because we read none through psycopg.
    """

    relied_on = _set(_FOLLOWED)

    @classmethod
    async def connect(cls, conninfo: str = "", *, autocommit: bool = False, **options: Any) -> Self:
        """Connect. Raises `OperationalError`."""
        connection = await super().connect(conninfo, autocommit=autocommit, **options)
        await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
        return connection
