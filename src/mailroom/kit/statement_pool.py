"""Connections kept for hot statements: a single statement is its own transaction, in one round trip.

A unit of work on the engine takes a check of the connection, BEGIN, the statement, COMMIT and a reset. A single
statement needs only itself, and a transaction of plain statements needs no check and no reset.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from psycopg.errors import OperationalError, ReadOnlySqlTransaction
from psycopg.rows import AsyncRowFactory, tuple_row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mailroom.kit.statements import Raw, psycopg_of, rows_of

Row = TypeVar("Row")
Kept = tuple[AsyncConnection, Raw]

_SETTINGS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_bitmapscan": "off"}
PLANNED_ONCE = "; ".join(f"set {name} = {value}" for name, value in _SETTINGS.items())
"""Hot statements find rows by keys, and planning one takes as long as running it, so each is planned only once. A
plan that is made while a table is small could read the whole table when it is large: by a sequential scan, or by a
bitmap scan of one index although only the first few rows in the order of another are needed."""


class StatementPool:
    """At most `most` connections of the engine's pool, in autocommit, lent for one statement at a time."""

    def __init__(self, engine: AsyncEngine, most: int) -> None:
        self._engine = engine
        self._room = asyncio.Semaphore(most)
        self._free: list[Kept] = []

    async def fetch(
        self,
        query: str,
        arguments: Mapping[str, Any],
        row: AsyncRowFactory[Row] = tuple_row,  # type: ignore[assignment]
    ) -> list[Row]:
        """Run one statement in a transaction of its own and return its rows, committed.

        If its connection turns out to be lost, the statement runs once more on a new one. So running it twice must
        do no harm (all of ours are conditional). Raises psycopg's errors.
        """
        async with self._room:
            try:
                return await self._once(query, arguments, row)
            except OperationalError:
                await self.close()  # a server that started again has dropped the others, too
                return await self._once(query, arguments, row)

    @asynccontextmanager
    async def transaction(self, first: str) -> AsyncIterator[Raw]:
        """Lend a connection in the transaction that `first` begins; rolled back if the block does not commit.

        If the connection's server has gone, `first` fails and the connection is replaced. Raises psycopg's errors.
        """
        async with self._room:
            try:
                kept = await self._begun(first)
            except OperationalError:
                await self.close()
                kept = await self._begun(first)
            try:
                yield kept[1]
            except ReadOnlySqlTransaction:
                await _drop(kept)
                raise
            except BaseException:
                await self._end(kept)
                raise
            await self._end(kept)

    async def _begun(self, first: str) -> Kept:
        kept = self._free.pop() if self._free else await self._open()
        try:
            await kept[1].execute(first, prepare=False)
        except BaseException:
            await _drop(kept)
            raise
        return kept

    async def _end(self, kept: Kept) -> None:
        try:
            await kept[1].rollback()  # if nothing was committed; else this does nothing
        except BaseException:
            await _drop(kept)
            raise
        self._free.append(kept)

    async def _once(self, query: str, arguments: Mapping[str, Any], row: AsyncRowFactory[Row]) -> list[Row]:
        kept = self._free.pop() if self._free else await self._open()
        try:
            rows = await rows_of(kept[1], query, arguments, row, prepare=True)
        except BaseException:  # also if the task was cancelled: the connection may be in any state
            await _drop(kept)
            raise
        self._free.append(kept)
        return rows

    async def _open(self) -> Kept:
        connection = await self._engine.connect()
        try:
            raw = await psycopg_of(connection)
            await raw.set_autocommit(True)
            await raw.execute(PLANNED_ONCE)
        except BaseException:  # also if the task was cancelled: the engine's pool must not lose a place
            await asyncio.shield(_give_back(connection))
            raise
        return connection, raw

    async def close(self) -> None:
        """Close the idle connections."""
        while self._free:
            await _drop(self._free.pop())


async def _drop(kept: Kept) -> None:
    connection, raw = kept
    await raw.close()
    await asyncio.shield(_give_back(connection))


async def _give_back(connection: AsyncConnection) -> None:
    """Close a connection and give its place back to the engine's pool."""
    await connection.invalidate()
    await connection.close()
