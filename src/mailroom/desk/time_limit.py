"""Queries with a time limit: PostgreSQL itself ends a statement that takes too long."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from psycopg.errors import QueryCanceled
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mailroom.kit.database import Database, UnitOfWork

Answer = TypeVar("Answer")

LIMIT = text(
    "SELECT set_config('statement_timeout', :milliseconds, true), "
    "set_config('plan_cache_mode', 'force_custom_plan', true)"
)
BUDGET = 0.06
"""Seconds that a page of the desk may spend on one query, so that the page takes less than 0.1 in all."""


async def in_time(
    database: Database, seconds: float, ask: Callable[[UnitOfWork], Awaitable[Answer]]
) -> Answer | None:
    """Return what `ask` returns, in a transaction of its own; None if one of its statements takes longer."""
    async with database.begin() as work:
        return await within_time(work, seconds, ask)


async def within_time(
    work: UnitOfWork, seconds: float, ask: Callable[[UnitOfWork], Awaitable[Answer]]
) -> Answer | None:
    """Return what `ask` returns; None if one of its statements takes longer: then `work` can do nothing more.

    The limit stays for the rest of the transaction, which PostgreSQL rolls back at its end if it was exceeded.
    Besides, statements are planned for their values each time: a plan for any values does not know that a slice of
    time is small or an address rare, and reads all mails.
    """
    await work.session.execute(LIMIT, {"milliseconds": str(max(1, int(seconds * 1000)))})
    try:
        return await ask(work)
    except QueryCanceled:  # from psycopg, without SQLAlchemy
        return None
    except DBAPIError as error:
        if isinstance(error.orig, QueryCanceled):
            return None
        raise
