"""A pooler in front of PostgreSQL: found by asking, since it looks like the server itself.

Mailroom prepares statements and holds advisory locks on its connections, so it needs sessions. A pooler in
transaction mode (PgBouncer's `pool_mode = transaction`, and many hosted ones) gives each transaction whichever
connection is free. Mailroom works behind such a pooler if DATABASE_DIRECT_URL leads past it.
"""

from enum import Enum
from typing import Any

import psycopg

from mailroom.kit.postgres_connection import PostgresConnection
from mailroom.settings.urls import libpq_url

TRIES = 4
BACKEND = "select pg_backend_pid()"
PATIENCE = 4
"""Seconds to connect."""
Connection = psycopg.AsyncConnection[Any]


class Pooling(Enum):
    """How long a client keeps its connection to the server."""

    NO_POOLER = "for ever"
    SESSION = "for a session"
    TRANSACTION = "for a transaction"
    STATEMENT = "for a statement"

    @property
    def breaks_sessions(self) -> bool:
        """True if the pooler changes connections within a session: prepared statements and locks are lost."""
        return self in {Pooling.TRANSACTION, Pooling.STATEMENT}


async def connect(url: str, *, name: str) -> PostgresConnection:
    """Return a connection in autocommit. Raises psycopg's errors."""
    return await PostgresConnection.connect(
        libpq_url(url), autocommit=True, connect_timeout=PATIENCE, application_name=name
    )


async def pooling(one: Connection, other: Connection) -> Pooling:
    """Tell how a pooler in front treats connections. Needs two connections to one address, in autocommit.

    Raises psycopg's errors if a connection is lost, which leaves the question open.
    """
    try:
        if await _moves(one, other):
            return Pooling.TRANSACTION
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        return Pooling.STATEMENT  # it refuses transactions
    return Pooling.SESSION if await _backend(one) != one.info.backend_pid else Pooling.NO_POOLER


async def _moves(one: Connection, other: Connection) -> bool:
    """Tell whether a connection goes from one backend to another, or shares one, while others are in use."""
    seen = {await _backend(one)}
    for _ in range(TRIES):
        async with other.transaction():
            theirs = await _backend(other)
            if theirs in seen:
                return True
            seen.add(await _backend(one))
        for _ in range(2):  # twice: a pooler that goes round robin hands out the other one then
            seen.add(await _backend(one))
        if len(seen) > 1:
            return True
    return False


async def _backend(connection: Connection) -> int:
    row = await (await connection.execute(BACKEND, prepare=False)).fetchone()
    assert row
    return int(row[0])
