"""Connections to PostgreSQL, fitted to what a small server has room for."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from mailroom.bootstrap.services import create_database
from mailroom.ops.database_start import ask_database
from mailroom.settings import Settings
from tests.conftest import settings_of

ROOM = 14


@pytest.fixture
def small(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database that lets in few; what is told to processes by the environment goes with the test."""
    for name in ("DATABASE_CONNECTIONS", "DATABASE_DIRECT_CONNECTIONS"):
        monkeypatch.setenv(name, "")
    limit = "do $$ begin execute format('alter database %I connection limit {}', current_database()); end $$"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(limit.format(ROOM).encode())
        try:
            yield database_url
        finally:
            connection.execute(limit.format(-1).encode())


@pytest.mark.parametrize(
    ("workers", "told", "each"), [("1", None, 4), ("3", None, 2), ("20", None, 2), ("3", "4", 4)]
)
def test_past_a_pooler_each_process_has_as_many_connections_as_fit_unless_one_set_them(
    environment: dict[str, str], small: str, workers: str, told: str | None, each: int
) -> None:
    changes = {"database_direct_connections": told} if told else {}
    settings = settings_of(
        environment, database_direct_url=small, web_concurrency="1", worker_processes=workers, **changes
    )
    fitted = ask_database(settings)
    assert fitted.database_direct_connections == each
    assert fitted.database_connections == 10, "the pooler's own are its operator's to count"
    assert asyncio.run(_held(fitted.model_copy(update={"database_connections": 8}))) == each


async def _held(settings: Settings) -> int:
    """Return how many connections a worker with much to do holds to PostgreSQL itself."""
    database = create_database(settings, name="counted")
    statement = "select count(*) from pg_stat_activity, pg_sleep(0.2) where application_name = 'counted'"
    try:
        async with database.session():  # as its lock does
            rows = await asyncio.gather(*(database.fetch(statement, {}) for _ in range(8)))
    finally:
        await database.close()
    return max(int(row[0][0]) for row in rows)
