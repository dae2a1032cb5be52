"""The register of processes: who lives, when they started, what operators ask of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from mailroom.desk.processes.readings import ProcessRow, ask, last_worker_seen, processes, starts
from mailroom.desk.processes.register import Registration
from mailroom.desk.processes.release import release
from mailroom.desk.processes.surroundings import Surroundings
from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.mail.ledger.liveness import Liveness, new_name
from mailroom.settings import Settings


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = Database(settings.database_url, connections=6, name="test")
    yield opened
    await opened.close()


async def rows(database: Database) -> dict[str, ProcessRow]:
    async with database.begin_plain() as work:
        return {one.name: one for one in await processes(work)}


async def test_a_worker_lives_as_long_as_its_lock_and_says_what_it_has_in_hand(
    database: Database, settings: Settings
) -> None:
    name, wishes = new_name(), []
    its_own = Database(settings.database_url, connections=2, name="worker")
    liveness = Liveness(its_own, name)
    await liveness.start()
    registration = Registration(
        database,
        name,
        "worker",
        surroundings=Surroundings(settings),
        facts=lambda: {"mails": 3, "tasks": 1},
        on_wish=wishes.append,
    )
    await registration.report()
    row = (await rows(database))[name]
    assert (row.state, row.role, row.version, row.facts["mails"]) == ("alive", "worker", release(), 3)
    assert row.facts["redis"] is True and row.facts["memory"] > 1_000_000 and 0 < row.facts["disk"] < 1
    async with database.begin_plain() as work:
        assert await ask(work, name, "drain")
        assert not await ask(work, "nobody:1#0", "drain")
    await registration.report()
    await registration.report()
    assert wishes == ["drain"]

    await database.fetch("update processes set seen_at = now() - interval '1 hour'", {})
    assert (await rows(database))[name].state == "alive", "its reports are late, but its lock is held"
    await liveness.close()
    await its_own.close()
    while (await rows(database))[name].state == "alive":  # PostgreSQL forgets a closed connection a moment later
        await asyncio.sleep(0.01)
    assert (await rows(database))[name].state == "gone"
    await database.fetch("update processes set seen_at = now() - interval '30 s'", {})
    assert (await rows(database))[name].state == "unknown"
    registration.start()
    await asyncio.sleep(0)
    await registration.close()
    assert (await rows(database))[name].state == "ended"
    async with database.begin_plain() as work:
        assert await last_worker_seen(work) is not None


async def test_starts_are_marks_and_the_first_of_a_release_is_a_deploy(database: Database) -> None:
    await database.fetch(
        "insert into processes (name, role, host, pid, version, started_at) values"
        " ('a', 'worker', 'h', 1, '1', now() - interval '3 h'), ('b', 'web', 'h', 2, '1', now() - interval '2 h'),"
        " ('c', 'web', 'h', 3, '2', now() - interval '1 h'), ('d', 'worker', 'h', 4, '2', now())",
        {},
    )
    async with database.begin_plain() as work:
        found = await starts(work, clock.now() - timedelta(days=1))
    assert [(mark.version, mark.role, mark.deploy) for mark in found] == [
        ("1", "worker", False),
        ("1", "web", False),
        ("2", "web", True),
        ("2", "worker", False),
    ]


async def test_redis_that_is_away_is_a_fact_and_no_error(settings: Settings) -> None:
    away = Surroundings(settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"}))
    assert (await away.look())["redis"] is False
    await away.close()
