"""Hot statements on connections kept for them."""

import asyncio
import gc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from mailroom.kit.arrays import array, array_of_times, array_of_words
from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.settings import Settings

COUNT = "select count(*) from mails where kind = any(%(kinds)s)"
COUNT_OF_IDS = "select count(*) from mails where id = any(%(ids)s::uuid[])"
NOTHING: dict[str, object] = {"kinds": []}
WRITE = """
insert into sessions (id, token_hash, user_agent, expires_at)
values (gen_random_uuid(), %(hash)s, %(word)s, now())
"""
READ = "select user_agent from sessions where user_agent <> %(nothing)s order by created_at"


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database_url, connections=4, name="lanes")
    yield database
    await database.close()


async def backends(database: Database, *, end: bool = False) -> list[int]:
    """Return the server's processes of our kept connections; end them where asked to."""
    what = "pg_terminate_backend(pid)" if end else "pid"
    async with database.connection() as connection:
        query = f"select {what} from pg_stat_activity where application_name = 'lanes' and pid <> pg_backend_pid()"
        return [row[0] for row in await (await connection.execute(query.encode())).fetchall()]  # type: ignore[misc]


async def test_statements_share_few_connections_and_wait_for_their_turn(database: Database) -> None:
    slow = "select pg_sleep(0.02)::text from mails right join (values (1)) as one (n) on kind = any(%(kinds)s)"
    await asyncio.gather(*(database.fetch(slow, NOTHING) for _ in range(20)))
    assert len(await backends(database)) == 2, "four connections, two of them left for everybody else"


async def test_a_connection_the_server_has_ended_costs_nobody_an_error(database: Database) -> None:
    await database.fetch(COUNT, NOTHING)
    (before,) = await backends(database)
    await backends(database, end=True)
    assert await database.fetch(COUNT, NOTHING) == [(0,)]
    assert before not in await backends(database)


async def test_a_statement_stopped_in_the_middle_leaves_nothing_behind(database: Database) -> None:
    sleeping = asyncio.create_task(
        database.fetch("select pg_sleep(5)::text where %(kinds)s = '{}'::text[]", NOTHING)
    )
    await asyncio.sleep(0.2)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    assert await database.fetch(COUNT, NOTHING) == [(0,)]


async def test_a_server_that_is_away_is_said_to_be(settings: Settings) -> None:
    url = settings.database_url.rpartition("@")[0] + "@127.0.0.1:9/none"
    database = Database(url, connections=4, name="lanes")
    with pytest.raises(Unavailable):
        await database.fetch(COUNT, NOTHING)
    await database.close()


async def put(database: Database, word: str, *, fails: bool = False, divided_by: int = 1) -> None:
    async with database.begin_plain() as work:
        await work.fetch(WRITE, {"word": word, "hash": word.encode()})
        await work.fetch("select 1 / %(number)s", {"number": divided_by})
        if fails:
            raise LookupError(word)


async def test_plain_statements_of_one_transaction_are_kept_together_or_not_at_all(database: Database) -> None:
    await put(database, "kept")
    (before,) = await backends(database)
    with pytest.raises(LookupError):
        await put(database, "lost", fails=True)
    with pytest.raises(psycopg.Error):
        await put(database, "lost, too", divided_by=0)
    assert await database.fetch(READ, {"nothing": ""}) == [("kept",)]
    assert await backends(database) == [before], "an error costs no connection"


async def test_what_is_written_is_there_for_what_is_read_next_and_after_the_commit(database: Database) -> None:
    async with database.begin_plain() as work:
        await work.write(WRITE, {"word": "50 % of 'one'; --", "hash": b"\x001"})
        assert await work.fetch(READ, {"nothing": ""}) == [("50 % of 'one'; --",)]
        await work.write(WRITE, {"word": "two\\", "hash": b"\xff2"})
        await work.write("update sessions set user_agent = user_agent || %(more)s", {"more": "!"})
        assert await database.fetch(READ, {"nothing": ""}) == []
    assert sorted(await database.fetch(READ, {"nothing": ""})) == [("50 % of 'one'; --!",), ("two\\!",)]


async def test_where_one_of_several_written_together_fails_none_is_there(database: Database) -> None:
    async def write_twice(word: str) -> None:
        async with database.begin_plain() as work:
            await work.write(WRITE, {"word": word, "hash": b"new"})
            await work.write(WRITE, {"word": word, "hash": b"of old"})
            work.after_commit(lambda: pytest.fail("nothing was committed"))

    async with database.begin_plain() as work:
        await work.write(WRITE, {"word": "old", "hash": b"of old"})
    (before,) = await backends(database)
    with pytest.raises(psycopg.errors.UniqueViolation):
        await write_twice("new")
    assert await database.fetch(READ, {"nothing": ""}) == [("old",)]
    assert await backends(database) == [before], "an error costs no connection"


async def test_units_of_work_with_one_turn_come_one_after_the_other(database: Database) -> None:
    inside: list[str] = []

    async def visit(turn: int) -> None:
        async with database.begin_plain(turn) as work:
            inside.append(f"{turn} comes")
            await work.fetch("select pg_sleep(0.1)::text where %(no)s::int is null", {"no": None})
            inside.append(f"{turn} goes")

    await asyncio.gather(visit(-7), visit(-7))
    assert inside == ["-7 comes", "-7 goes"] * 2
    inside.clear()
    await asyncio.gather(visit(7), visit(8))
    assert sorted(inside[:2]) == ["7 comes", "8 comes"]


async def test_a_plain_transaction_meets_no_connection_the_server_has_ended(database: Database) -> None:
    await put(database, "first")
    await backends(database, end=True)
    await put(database, "second")
    assert await database.fetch(READ, {"nothing": ""}) == [("first",), ("second",)]


async def test_a_plain_transaction_stopped_in_the_middle_lets_others_go_on(database: Database) -> None:
    async def sleep() -> None:
        async with database.begin_plain() as work:
            await work.fetch("select pg_sleep(5)::text where %(kinds)s = '{}'::text[]", NOTHING)

    sleepers = [asyncio.create_task(sleep()) for _ in range(2)]
    await asyncio.sleep(0.2)
    for sleeper in sleepers:
        sleeper.cancel()
    await asyncio.wait(sleepers)
    await put(database, "after it")


async def test_arrays_say_what_psycopgs_own_say(database: Database) -> None:
    words = [
        "plain",
        "",
        "null",
        None,
        'two "quotes"',
        "back\\slash",
        "{braces}, a comma",
        "ümläut \ufffd",
        "a\nline",
    ]
    now = datetime.now(UTC)
    query = "select %(words)s::text[], %(numbers)s::int[], %(ids)s::uuid[], %(times)s::timestamptz[]"
    values = {
        "words": array_of_words(words),
        "numbers": array([1, None, -3]),
        "ids": array([UUID(int=1), UUID(int=2)]),
        "times": array_of_times([now, None]),
    }
    (row,) = await database.fetch(query, values)
    assert row == (words, [1, None, -3], [UUID(int=1), UUID(int=2)], [now, None])


async def test_a_statement_planned_while_a_table_was_small_reads_no_more_than_it_needs_once_it_is_large(
    database: Database,
) -> None:
    """Kept plans are not made again; a plan that reads the whole table would be kept, too."""
    plan = await database.fetch(f"explain {COUNT_OF_IDS}", {"ids": "{}"})
    assert not any("Seq Scan" in str(line) for line in plan), plan


@pytest.mark.parametrize("use", ["fetch", "begin", "begin_plain", "connection"])
async def test_who_leaves_at_any_moment_takes_no_connection_along(database: Database, use: str) -> None:
    """People close pages while a connection is being opened for them: its place must come back."""

    async def ask() -> None:
        if use == "fetch":
            await database.fetch(COUNT, NOTHING)
        elif use == "begin":
            async with database.begin() as work:
                await work.session.execute(text("select 1"))
        elif use == "begin_plain":
            async with database.begin_plain() as plain:
                await plain.fetch(COUNT, NOTHING)
        else:
            async with database.connection() as connection:
                await connection.execute("select 1")

    for steps in range(0, 60, 2):
        asked = asyncio.create_task(ask())
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        asked.cancel()
        await asyncio.wait([asked])
        if steps % 3 == 0:
            await database.close()  # so that the next one opens anew
    await database.close()
    await asyncio.sleep(0.2)
    gc.collect()  # what was leaked is complained of here
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
