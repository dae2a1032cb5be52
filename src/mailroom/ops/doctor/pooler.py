"""A pooler in front of PostgreSQL: found by asking, since it looks like the server itself.

Mailroom prepares statements and holds advisory locks on its connections, so it needs sessions. A pooler in
transaction mode (PgBouncer's `pool_mode = transaction`, and many hosted ones) gives each transaction whichever
connection is free.
"""

from typing import Any

import psycopg

from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.ops.doctor.findings import Finding, broken, good

CHECK = gettext_noop("database pooler")
TRIES = 4
BACKEND = "select pg_backend_pid()"
Connection = psycopg.AsyncConnection[Any]


async def check(one: Connection, other: Connection) -> list[Finding]:
    """Tell what stands in front, given two connections of one address in autocommit."""
    try:
        moves = await _moves(one, other)
    except psycopg.Error:  # `pool_mode = statement` refuses transactions
        moves = True
    if moves:
        words = gettext(
            "a pooler gives each transaction another connection (PgBouncer calls that pool_mode = transaction); "
            "prepared statements and locks are lost by that"
        )
        advice = gettext("Connect to PostgreSQL directly, or set pool_mode = session for Mailroom's database.")
        return [broken(CHECK, words, advice)]
    if await _backend(one) != one.info.backend_pid:
        return [good(CHECK, gettext("a pooler stands in front and keeps sessions"))]
    return []


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
