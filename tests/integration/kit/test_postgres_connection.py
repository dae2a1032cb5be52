"""Connections to a PostgreSQL that goes silent, and to one with settings of its own."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import text

from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.kit.postgres_connection import ANSWER_SECONDS, PostgresConnection
from mailroom.settings import Settings
from mailroom.settings.urls import libpq_url
from tests.faults.silent_proxy import Direction, SilentProxy

ONE = "select %(one)s::int"
each_direction = pytest.mark.parametrize(
    "directions", [(Direction.TO_CLIENT,), (Direction.TO_SERVER,), tuple(Direction)], ids=str
)


@pytest.fixture
def proxy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentProxy]:
    """A proxy before PostgreSQL; an answer may take half a second."""
    monkeypatch.setattr(PostgresConnection, "answer_seconds", 0.5)
    with SilentProxy("127.0.0.1", urlsplit(settings.database_url).port or 0) as proxy:
        yield proxy


@pytest.fixture
async def database(settings: Settings, proxy: SilentProxy) -> AsyncIterator[Database]:
    port = f":{urlsplit(settings.database_url).port}/"
    database = Database(settings.database_url.replace(port, f":{proxy.port}/"), connections=6, name="silent")
    yield database
    await database.close()


async def use_all(database: Database) -> None:
    """Have a connection of each kind made."""

    async def begun() -> None:
        async with database.begin() as work:
            await work.session.execute(text("select pg_sleep(0.05)"))

    await asyncio.gather(begun(), begun(), database.fetch(ONE, {"one": 1}), database.fetch(ONE, {"one": 1}))


@each_direction
async def test_connections_that_have_gone_silent_cost_one_limit_and_no_error(
    database: Database, proxy: SilentProxy, directions: tuple[Direction, ...]
) -> None:
    await use_all(database)
    assert proxy.silence(*directions) >= 3
    began = time.monotonic()
    assert await database.fetch(ONE, {"one": 1}) == [(1,)]
    async with database.begin() as work:
        assert await work.fetch(ONE, {"one": 1}) == [(1,)]
    async with database.begin_plain() as plain:
        assert await plain.fetch(ONE, {"one": 1}) == [(1,)]
    async with database.connection() as raw:
        await raw.execute("select 1")
    assert time.monotonic() - began < 3


@each_direction
async def test_one_that_goes_silent_within_a_unit_of_work_ends_it(
    database: Database, proxy: SilentProxy, directions: tuple[Direction, ...]
) -> None:
    async def orm() -> None:
        async with database.begin() as work:
            await work.session.execute(text("select 1"))
            proxy.silence(*directions)
            await work.session.execute(text("select 1"))

    async def plain() -> None:
        async with database.begin_plain() as work:
            proxy.silence(*directions)
            await work.write("select %(one)s", {"one": 1})

    async def raw() -> None:
        async with database.connection() as connection:
            proxy.silence(*directions)
            await connection.execute("select 1")

    for unit in (orm, plain, raw):
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await unit()
        assert time.monotonic() - began < 3
    await use_all(database)


async def test_psycopg_still_has_what_the_limit_relies_on(settings: Settings) -> None:
    """See the docstring of `mailroom.kit.postgres_connection`."""
    assert list(inspect.signature(psycopg.AsyncConnection.wait).parameters) == [
        "self",
        "gen",
        "interval",
        "timeout",
    ]
    assert ANSWER_SECONDS <= 20, "RELIABILITY.md promises the first mail within 30 s"
    async with await PostgresConnection.connect(libpq_url(settings.database_url)) as connection:
        connection.answer_seconds = 0.2
        with pytest.raises(psycopg.OperationalError, match=r"no answer within 0\.2 s"):
            await connection.execute("select pg_sleep(5)")
        assert connection.closed


HOSTILE = {
    "datestyle": "'SQL, DMY'",
    "intervalstyle": "'iso_8601'",
    "timezone": "'Asia/Kathmandu'",
    "client_encoding": "'LATIN1'",
    "bytea_output": "'escape'",
    "default_transaction_isolation": "'serializable'",
    "idle_session_timeout": "'200ms'",
    "standard_conforming_strings": "off",
}


@pytest.mark.spoils_its_database
async def test_a_database_with_other_defaults_works_alike(settings: Settings, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name, value in HOSTILE.items():
            try:
                connection.execute(f"alter database {database_url.rpartition('/')[2]} set {name} = {value}")
            except psycopg.errors.InvalidParameterValue:
                assert name == "standard_conforming_strings"  # PostgreSQL 19 knows no other value
    database = Database(settings.database_url, connections=4, name="hostile")
    values = {"at": datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC), "for": timedelta(days=40, seconds=5)}
    values |= {"word": "Ωμέγα \\ 'quoted'", "bytes": b"\0\\\xff"}
    query = "select %(at)s::timestamptz, %(for)s::interval, %(word)s::text, %(bytes)s::bytea"
    row = tuple(values.values())
    await database.fetch(query, values)
    await asyncio.sleep(0.5)
    assert await database.fetch(query, values) == [row]
    async with database.begin() as work:
        assert await work.fetch(query, values) == [row]
        found = await work.session.execute(text("select now(), current_setting('transaction_isolation')"))
        now, isolation = found.one()
        assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
        assert isolation == "read committed"
    async with database.begin_plain() as plain:
        await plain.write("select %(word)s", values)
        assert await plain.fetch(query, values) == [row]
    await database.close()
