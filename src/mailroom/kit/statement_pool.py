"""Connections kept for hot statements: one that stands alone is its own transaction, in one round trip.

A unit of work on the engine costs a look whether the connection lives, BEGIN, the statement, COMMIT and a reset. A
statement that stands alone needs none of them, and a transaction of plain statements the middle three only.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.rows import AsyncRowFactory, tuple_row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Row = TypeVar("Row")
Lane = tuple[AsyncConnection, "psycopg.AsyncConnection[Any]"]
Statement = tuple[str, Mapping[str, Any]]

PLANNED_ONCE = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off"
"""Hot statements go by keys, and planning one takes as long as running it. Planned once, while a table is small,
they would go on reading all of it when it is large."""


class StatementPool:
    """At most `most` connections of the engine's pool, in autocommit, lent for one statement at a time."""

    def __init__(self, engine: AsyncEngine, most: int) -> None:
        self._engine = engine
        self._turns = asyncio.Semaphore(most)
        self._free: list[Lane] = []

    async def fetch(
        self,
        query: str,
        arguments: Mapping[str, Any],
        row: AsyncRowFactory[Row] = tuple_row,  # type: ignore[assignment]
    ) -> list[Row]:
        """Run one statement in a transaction of its own and return its rows, committed.

        Where its connection turns out to be gone the statement runs once more on a new one, so it must be one
        that does no harm when it runs twice (all of ours are conditional). Raises psycopg's errors.
        """
        async with self._turns:
            try:
                return await self._once(query, arguments, row)
            except psycopg.OperationalError:
                await self.close()  # a server that started again has dropped the others, too
                return await self._once(query, arguments, row)

    @asynccontextmanager
    async def transaction(self, first: str) -> AsyncIterator["psycopg.AsyncConnection[Any]"]:
        """Lend a connection in the transaction that `first` begins; where the block does not commit it, it is
        rolled back.

        One whose server has gone meanwhile is found out by `first` and replaced. Raises psycopg's errors.
        """
        async with self._turns:
            try:
                lane = await self._begun(first)
            except psycopg.OperationalError:
                await self.close()
                lane = await self._begun(first)
            try:
                yield lane[1]
            finally:
                await self._end(lane)

    async def _begun(self, first: str) -> Lane:
        lane = self._free.pop() if self._free else await self._open()
        try:
            await lane[1].execute(first, prepare=False)
        except BaseException:
            await _drop(lane)
            raise
        return lane

    async def _end(self, lane: Lane) -> None:
        try:
            await lane[1].rollback()  # where nothing was committed; else it does nothing
        except BaseException:
            await _drop(lane)
            raise
        self._free.append(lane)

    async def _once(self, query: str, arguments: Mapping[str, Any], row: AsyncRowFactory[Row]) -> list[Row]:
        lane = self._free.pop() if self._free else await self._open()
        try:
            rows = await rows_of(lane[1], query, arguments, row, prepare=True)
        except BaseException:  # also where it was cancelled: whatever state it is in
            await _drop(lane)
            raise
        self._free.append(lane)
        return rows

    async def _open(self) -> Lane:
        connection = await self._engine.connect()
        raw = await psycopg_of(connection)
        await raw.set_autocommit(True)
        await raw.execute(PLANNED_ONCE)
        return connection, raw

    async def close(self) -> None:
        """Close those that rest."""
        while self._free:
            await _drop(self._free.pop())


async def psycopg_of(connection: AsyncConnection) -> "psycopg.AsyncConnection[Any]":
    """Return the plain connection under SQLAlchemy's."""
    raw = (await connection.get_raw_connection()).driver_connection
    assert isinstance(raw, psycopg.AsyncConnection)
    return raw


async def rows_of(
    raw: "psycopg.AsyncConnection[Any]",
    query: str,
    arguments: Mapping[str, Any],
    row: AsyncRowFactory[Row],
    *,
    prepare: bool | None = None,
) -> list[Row]:
    """Run one statement and return its rows, if it has any. `prepare` is psycopg's."""
    cursor = raw.cursor(row_factory=row)
    await cursor.execute(query, arguments, prepare=prepare)
    return await cursor.fetchall() if cursor.description else []


async def run_together(raw: "psycopg.AsyncConnection[Any]", statements: Sequence[Statement]) -> None:
    """Run statements in order and in one round trip, their values as literals; the first error ends it."""
    written = psycopg.AsyncClientCursor(raw).mogrify
    await raw.execute("; ".join(written(query, arguments) for query, arguments in statements), prepare=False)


async def _drop(lane: Lane) -> None:
    connection, raw = lane
    await raw.close()
    await connection.invalidate()
    await connection.close()
