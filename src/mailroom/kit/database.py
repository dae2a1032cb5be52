"""PostgreSQL for one process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypeVar

from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import AsyncRowFactory, tuple_row
from sqlalchemy import ExceptionContext, MetaData, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from mailroom.kit.errors import Unavailable
from mailroom.kit.outages import is_away
from mailroom.kit.postgres_connection import KEEP_ALIVE, PooledConnection, PostgresConnection
from mailroom.kit.statement_pool import StatementPool
from mailroom.kit.statements import Raw, psycopg_of
from mailroom.kit.unit_of_work import BatchedWork, PlainWork, UnitOfWork

__all__ = ["LARGEST_BIGINT", "Base", "Database", "PlainWork", "UnitOfWork", "translate_errors"]

Row = TypeVar("Row")

STATEMENT_CONNECTIONS = 4
"""Connections kept for single hot statements, at most; a worker has three kinds of them under way at a time."""
DIRECT_CONNECTIONS = STATEMENT_CONNECTIONS + 1
"""Connections that bypass a pooler in transaction mode: for hot statements, and one that shows a worker alive."""
LARGEST_BIGINT = 2**63 - 1
"""The largest number of a row: PostgreSQL's bigint."""


class Base(DeclarativeBase):
    """Base of every table; constraints get predictable names, so that migrations can refer to them."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Database:
    """At most `connections` connections, made when first needed. `name` is what PostgreSQL calls them.

    With a `direct_url`, `url` may lead to a pooler that gives each transaction another connection (PgBouncer's
    transaction mode). Then up to `direct_connections` more go to `direct_url`: hot statements, which are prepared
    and have a plan of their own, and whatever asks for a `session`.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int,
        name: str,
        direct_url: str = "",
        direct_connections: int = DIRECT_CONNECTIONS,
    ) -> None:
        self.engine = _engine(url, name, connections, is_pooled=bool(direct_url))
        self._direct = _engine(direct_url, name, direct_connections) if direct_url else self.engine
        room = direct_connections - 1 if direct_url else connections - 2
        self._statements = StatementPool(self._direct, max(1, min(STATEMENT_CONNECTIONS, room)))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        """Open a unit of work: commits at the end of the block, rolls back when it raises.

        Raises `Unavailable` if PostgreSQL cannot be reached or takes no writes; nothing is saved then.
        """
        async with self._used(), AsyncSession(self.engine, expire_on_commit=False) as session:
            work = UnitOfWork(session)
            async with session.begin():
                yield work
        work.run_after_commit()

    @asynccontextmanager
    async def begin_plain(self, lock_key: int | None = None) -> AsyncIterator[PlainWork]:
        """Open a unit of work in plain SQL (`PlainWork`), at a fraction of the cost of `begin`.

        With a `lock_key` (64 bits) it waits for PostgreSQL's advisory lock of this number first and holds it until
        the end. Raises `Unavailable`.
        """
        first = "begin" if lock_key is None else f"begin; select pg_advisory_xact_lock({lock_key:d})"
        async with self._used(), self._statements.transaction(first) as raw:
            work = BatchedWork(raw)
            yield work
            await work.commit()
        work.run_after_commit()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Raw]:
        """Lend a plain psycopg connection of the same pool, in a transaction that ends with the block."""
        async with self._lent(self.engine) as raw:
            yield raw

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Raw]:
        """Lend a connection like `connection` that keeps its session: its locks may last beyond a transaction."""
        async with self._lent(self._direct) as raw:
            yield raw

    @asynccontextmanager
    async def _lent(self, engine: AsyncEngine) -> AsyncIterator[Raw]:
        async with self._used(), engine.connect() as connection:
            raw = await psycopg_of(connection)
            try:
                yield raw
                await raw.commit()  # an exception leaves it to the pool, which rolls back
            except ReadOnlySqlTransaction:
                await connection.invalidate()
                raise
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

        It may run twice if its connection is lost, so it must be conditional. Raises `Unavailable`.
        """
        async with self._used():
            try:
                return await self._statements.fetch(query, arguments, row)
            except ReadOnlySqlTransaction:
                await self.close()  # a new connection may lead to the server that takes writes now
                return await self._statements.fetch(query, arguments, row)

    async def close(self) -> None:
        """Close every connection."""
        await self._statements.close()
        await self.engine.dispose()
        await self._direct.dispose()

    @asynccontextmanager
    async def _used(self) -> AsyncIterator[None]:
        """Translate errors. If this server has become a standby, leave it: close all idle connections."""
        async with translate_errors():
            try:
                yield
            except (ReadOnlySqlTransaction, DBAPIError) as error:
                if is_read_only(error):
                    await self.close()  # those in use are closed as they meet the same error
                raise


def _engine(url: str, name: str, connections: int, *, is_pooled: bool = False) -> AsyncEngine:
    """Return an engine. `is_pooled`: `url` leads to a pooler in transaction mode, where no session lasts."""
    kind = PooledConnection if is_pooled else PostgresConnection
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,  # after a restart of PostgreSQL nobody gets a dead connection
        pool_use_lifo=True,
        hide_parameters=True,  # an error may reach a log; addresses and hashes must not
        connect_args={
            "async_creator_fn": kind.connect,
            "application_name": name,
            "prepare_threshold": None if is_pooled else 2,
            **KEEP_ALIVE,
        },
    )
    event.listen(engine.sync_engine, "handle_error", _leave_standby)
    return engine


def is_read_only(error: BaseException) -> bool:
    """Tell whether PostgreSQL refused to write because it is a standby, or was told to take no writes."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, ReadOnlySqlTransaction)


def _leave_standby(context: ExceptionContext) -> None:
    """Have SQLAlchemy drop a connection that leads to a standby, as it does with one that broke."""
    if isinstance(context.original_exception, ReadOnlySqlTransaction):
        context.is_disconnect = True


@asynccontextmanager
async def translate_errors() -> AsyncIterator[None]:
    """Turn "PostgreSQL is away" in its many forms into `Unavailable`; other errors pass as they are."""
    try:
        yield
    except Exception as error:
        if is_away(error):
            raise Unavailable from error
        raise
