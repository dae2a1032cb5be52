"""The unit of work: one request or task, one transaction, and what follows its commit."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import AsyncRowFactory, tuple_row
from sqlalchemy.ext.asyncio import AsyncSession

from mailroom.kit.statements import Raw, Statement, copy_in, psycopg_of, rows_of, run_together

logger = logging.getLogger(__name__)

Row = TypeVar("Row")


class PlainWork(ABC):
    """One transaction of plain statements, and what is to happen once it is committed.

    A function that only needs these methods asks for this type, and takes a `UnitOfWork` as well.
    """

    def __init__(self) -> None:
        self._after: list[Callable[[], None]] = []

    @abstractmethod
    async def fetch(
        self,
        query: str,
        arguments: Mapping[str, Any],
        row: AsyncRowFactory[Row] = tuple_row,  # type: ignore[assignment]
    ) -> list[Row]:
        """Run one statement in this transaction and return its rows."""

    @abstractmethod
    async def write(self, query: str, arguments: Mapping[str, Any]) -> None:
        """Run one statement without rows. It may wait until the next `fetch` or the commit; so may its errors."""

    @abstractmethod
    async def copy_in(self, statement: str, parts: Iterable[bytes]) -> None:
        """Run a `COPY … FROM STDIN` with these bytes: for values of megabytes."""

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call `call` after the commit, but never if the transaction fails.

        It must not block. What it raises is logged and not passed on.
        """
        self._after.append(call)

    def run_after_commit(self) -> None:
        """Call what `after_commit` was given, in order."""
        for call in self._after:
            try:
                call()
            except Exception:
                logger.exception("a step after the commit failed; the sweep will make up for it")


class UnitOfWork(PlainWork):
    """One transaction of a SQLAlchemy session."""

    def __init__(self, session: AsyncSession) -> None:
        super().__init__()
        self.session = session

    async def fetch(
        self,
        query: str,
        arguments: Mapping[str, Any],
        row: AsyncRowFactory[Row] = tuple_row,  # type: ignore[assignment]
    ) -> list[Row]:
        """Run one statement in plain psycopg: for hot paths. It does not see what the session holds unflushed."""
        connection = await self.session.connection()
        try:
            return await rows_of(await psycopg_of(connection), query, arguments, row)
        except ReadOnlySqlTransaction:  # the server is a standby now: nobody should get this connection again
            await connection.invalidate()
            raise

    async def write(self, query: str, arguments: Mapping[str, Any]) -> None:
        """Run one statement at once."""
        await self.fetch(query, arguments)

    async def copy_in(self, statement: str, parts: Iterable[bytes]) -> None:
        """Copy at once."""
        await copy_in(await psycopg_of(await self.session.connection()), statement, parts)


class BatchedWork(PlainWork):
    """One transaction in plain psycopg. Writes go along with the next read, or with the commit."""

    def __init__(self, raw: Raw) -> None:
        super().__init__()
        self._raw = raw
        self._writes: list[Statement] = []

    async def fetch(
        self,
        query: str,
        arguments: Mapping[str, Any],
        row: AsyncRowFactory[Row] = tuple_row,  # type: ignore[assignment]
    ) -> list[Row]:
        """Run the writes so far, then one statement."""
        if self._writes:
            await self._run_writes()
        return await rows_of(self._raw, query, arguments, row)

    async def write(self, query: str, arguments: Mapping[str, Any]) -> None:
        """Have a statement run with the next `fetch`, or else with the commit. Its errors show up there."""
        self._writes.append((query, arguments))

    async def copy_in(self, statement: str, parts: Iterable[bytes]) -> None:
        """Run the writes so far, then copy."""
        if self._writes:
            await self._run_writes()
        await copy_in(self._raw, statement, parts)

    async def commit(self) -> None:
        """Run the writes and commit, in one round trip."""
        await self._run_writes(("commit", {}))

    async def _run_writes(self, *more: Statement) -> None:
        writes, self._writes = [*self._writes, *more], []
        await run_together(self._raw, writes)
