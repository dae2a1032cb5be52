"""Connections kept for hot statements: one that stands alone is its own transaction, in one round trip.

A unit of work on the engine costs a look whether the connection lives, BEGIN, the statement, COMMIT and a reset. A
statement that stands alone needs none of them, and a transaction of plain statements the middle three only.
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
"""Hot statements go by keys, and planning one takes as long as running it. Planned once, while a table is small,
they would go on reading all of it when it is large: by a scan of the table, or of all that one index knows of,
where the first few in the order of another are asked for."""


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

        Where its connection turns out to be gone the statement runs once more on a new one, so it must be one
        that does no harm when it runs twice (all of ours are conditional). Raises psycopg's errors.
        """
        async with self._room:
            try:
                return await self._once(query, arguments, row)
            except OperationalError:
                await self.close()  # a server that started again has dropped the others, too
                return await self._once(query, arguments, row)

    @asynccontextmanager
    async def transaction(self, first: str) -> AsyncIterator[Raw]:
        """Lend a connection in the transaction that `first` begins; rolled back where the block does not commit.

        A connection whose server has gone is found out by `first` and replaced. Raises psycopg's errors.
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
            await kept[1].rollback()  # where nothing was committed; else it does nothing
        except BaseException:
            await _drop(kept)
            raise
        self._free.append(kept)

    async def _once(self, query: str, arguments: Mapping[str, Any], row: AsyncRowFactory[Row]) -> list[Row]:
        kept = self._free.pop() if self._free else await self._open()
        try:
            rows = await rows_of(kept[1], query, arguments, row, prepare=True)
        except BaseException:  # also where it was cancelled: whatever state it is in
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
        except BaseException:  # also where who asked has gone: else the engine's pool has one connection less
            await asyncio.shield(_give_back(connection))
            raise
        return connection, raw

    async def close(self) -> None:
        """Close those that rest."""
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
