"""Statements in plain psycopg, at a fifth of the cost of SQLAlchemy's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.rows import AsyncRowFactory
from sqlalchemy.ext.asyncio import AsyncConnection

Row = TypeVar("Row")
Raw = psycopg.AsyncConnection[Any]
Statement = tuple[str, Mapping[str, Any]]
"""A query and its arguments by name."""


async def psycopg_of(connection: AsyncConnection) -> Raw:
    """Return psycopg's connection under SQLAlchemy's."""
    raw = (await connection.get_raw_connection()).driver_connection
    assert isinstance(raw, psycopg.AsyncConnection)
    return raw


async def rows_of(
    raw: Raw, query: str, arguments: Mapping[str, Any], row: AsyncRowFactory[Row], *, prepare: bool | None = None
) -> list[Row]:
    """Run one statement and return its rows, if it has any. `prepare` is psycopg's."""
    cursor = raw.cursor(row_factory=row)
    await cursor.execute(query, arguments, prepare=prepare)
    return await cursor.fetchall() if cursor.description else []


async def copy_in(raw: Raw, statement: str, parts: Iterable[bytes]) -> None:
    """Run a `COPY … FROM STDIN` with these bytes, which are sent part by part.

    The value of a statement is copied twice before it is sent, once by psycopg and once by libpq, which keeps
    that memory as long as the connection exists. Here there is never a second whole copy of a value.
    """
    async with raw.cursor().copy(statement) as copy:
        for part in parts:
            await copy.write(part)


async def run_together(raw: Raw, statements: Sequence[Statement]) -> None:
    """Run statements in order and in one round trip, their values as literals; the first error ends it."""
    written = psycopg.AsyncClientCursor(raw).mogrify
    await raw.execute("; ".join(written(query, arguments) for query, arguments in statements), prepare=False)
