"""The database engine, and the unit of work: one request or task, one transaction, and what follows it."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg.rows import AsyncRowFactory, tuple_row
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from mailroom.kit.errors import Unavailable
from mailroom.kit.outages import is_away
from mailroom.kit.statement_pool import Statement, StatementPool, psycopg_of, rows_of, run_together

logger = logging.getLogger(__name__)

Row = TypeVar("Row")

LANES = 4
"""Connections kept for single hot statements, at most; a worker has three kinds of them under way at a time."""

ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
"""For libpq: a server that vanished without a word is known to be away in half a minute, not after hours."""


class Base(DeclarativeBase):
    """Base of every table; constraints get predictable names, so that migrations can speak of them."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UnitOfWork:
    """One transaction, and what is to happen once it is committed (never before, never when it fails)."""

    def __init__(self, session: AsyncSession | None) -> None:
        self._session = session
        self._after: list[Callable[[], None]] = []

    @property
    def session(self) -> AsyncSession:
        """SQLAlchemy's session; a unit of work begun with `begin_plain` has none."""
        assert self._session is not None, "a plain unit of work has only `fetch` and `write`"
        return self._session

    async def fetch(
        self,
        query: str,
        arguments: Mapping[str, Any],
        row: AsyncRowFactory[Row] = tuple_row,  # type: ignore[assignment]
    ) -> list[Row]:
        """Run one statement in plain psycopg, in this transaction: for hot paths, at a fifth of the ORM's cost.

        What the session holds unflushed is not seen.
        """
        return await rows_of(await psycopg_of(await self.session.connection()), query, arguments, row)

    async def write(self, query: str, arguments: Mapping[str, Any]) -> None:
        """Run one statement whose rows nobody wants; a plain unit of work may put it off until its commit."""
        await self.fetch(query, arguments)

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have `call` called after the commit. It must not block; what it raises is logged, never passed on."""
        self._after.append(call)

    def run_after_commit(self) -> None:
        """Call what `after_commit` was given, in order."""
        for call in self._after:
            try:
                call()
            except Exception:
                logger.exception("a step after the commit failed; the sweep will make up for it")


class PlainWork(UnitOfWork):
    """A unit of work in plain psycopg: what it writes goes along with what it reads next, or with the commit."""

    def __init__(self, raw: "psycopg.AsyncConnection[Any]") -> None:
        super().__init__(None)
        self._raw = raw
        self._writes: list[Statement] = []

    async def fetch(
        self,
        query: str,
        arguments: Mapping[str, Any],
        row: AsyncRowFactory[Row] = tuple_row,  # type: ignore[assignment]
    ) -> list[Row]:
        """Run one statement and return its rows."""
        if self._writes:
            await self._run_writes()
        return await rows_of(self._raw, query, arguments, row)

    async def write(self, query: str, arguments: Mapping[str, Any]) -> None:
        """Have a statement run before the next `fetch`, or else the commit; its errors show up there."""
        self._writes.append((query, arguments))

    async def commit(self) -> None:
        """Run what was written and commit, in one round trip."""
        await self._run_writes(("commit", {}))

    async def _run_writes(self, *more: Statement) -> None:
        writes, self._writes = [*self._writes, *more], []
        await run_together(self._raw, writes)


class Database:
    """PostgreSQL for one process: at most `connections` connections, made when first needed."""

    def __init__(self, url: str, *, connections: int, name: str) -> None:
        self.engine = create_async_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=True,  # after a restart of PostgreSQL nobody meets a dead connection
            pool_use_lifo=True,
            hide_parameters=True,  # an error may reach a log; addresses and hashes must not
            connect_args={"connect_timeout": 5, "application_name": name, "prepare_threshold": 2, **ALIVE},
        )
        self._lanes = StatementPool(self.engine, max(1, min(LANES, connections - 2)))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        """Open a unit of work: commits at the end of the block, rolls back when it raises.

        Raises `Unavailable` where PostgreSQL cannot be reached; nothing is saved then.
        """
        async with translate_errors(), AsyncSession(self.engine, expire_on_commit=False) as session:
            work = UnitOfWork(session)
            async with session.begin():
                yield work
        work.run_after_commit()

    @asynccontextmanager
    async def begin_plain(self, turn: int | None = None) -> AsyncIterator[UnitOfWork]:
        """Open a unit of work that has only `fetch` and `write`, at a fraction of the cost of `begin`.

        Where a `turn` is given it waits for that one first: PostgreSQL's advisory lock of this number (64 bits),
        held until the end. Raises `Unavailable`.
        """
        first = "begin" if turn is None else f"begin; select pg_advisory_xact_lock({turn:d})"
        async with translate_errors(), self._lanes.transaction(first) as raw:
            work = PlainWork(raw)
            yield work
            await work.commit()
        work.run_after_commit()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["psycopg.AsyncConnection[tuple[object, ...]]"]:
        """Lend a plain psycopg connection of the same pool, in a transaction, for the hot statements."""
        async with translate_errors(), self.engine.connect() as connection:
            raw = await psycopg_of(connection)
            try:
                yield raw
                await raw.commit()  # an exception leaves it to the pool, which rolls back
            finally:
                if raw.closed:  # there is nothing to roll back, and the pool would complain about that
                    await connection.invalidate()

    async def fetch(
        self,
        query: str,
        arguments: Mapping[str, Any],
        row: AsyncRowFactory[Row] = tuple_row,  # type: ignore[assignment]
    ) -> list[Row]:
        """Run one hot statement in a transaction of its own and return its rows, committed.

        It may run twice where its connection is lost, so it must be conditional. Raises `Unavailable`.
        """
        async with translate_errors():
            return await self._lanes.fetch(query, arguments, row)

    async def close(self) -> None:
        """Close every connection."""
        await self._lanes.close()
        await self.engine.dispose()


@asynccontextmanager
async def translate_errors() -> AsyncIterator[None]:
    """Turn "PostgreSQL is away" in its many forms into `Unavailable`; other errors pass as they are."""
    try:
        yield
    except Exception as error:
        if is_away(error):
            raise Unavailable from error
        raise
