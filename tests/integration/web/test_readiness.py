"""`/readyz` on a PostgreSQL that answers and yet can do nothing for us."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from mailroom.kit.database import Database
from mailroom.ops.embedded.postgres import Postgres, running_postgres
from mailroom.web.readiness import AWAY, FULL, OK, READ_ONLY, Readiness
from tests.conftest import database_on


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 180 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=180m", "tmpfs", place], check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def database_of(url: str) -> Database:
    return Database(url.replace("postgresql://", "postgresql+psycopg://"), connections=4, name="tests")


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[tuple[Database, str]]:
    with database_on(postgres, f"ready_{os.getpid()}") as url:
        database = database_of(url)
        yield database, url
        await database.close()


async def test_a_full_disk_is_not_ready_until_there_is_room(small_disk: Path) -> None:
    with running_postgres(small_disk / "data") as postgres:
        database = database_of(postgres.url)
        readiness = Readiness(database, write_every=0)
        assert await readiness.of_database() == OK
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError:
                pass
        assert await readiness.of_database() == FULL
        filler.unlink()
        assert await readiness.of_database() == OK
        await database.close()


async def test_a_server_that_takes_no_writes_is_not_ready(database: tuple[Database, str]) -> None:
    with psycopg.connect(database[1], autocommit=True) as connection:
        connection.execute(f"alter database ready_{os.getpid()} set default_transaction_read_only = on")
    assert await Readiness(database[0]).of_database() in {READ_ONLY, AWAY}


async def test_it_writes_now_and_then_only(database: tuple[Database, str]) -> None:
    readiness = Readiness(database[0])
    for _ in range(20):
        assert await readiness.of_database() == OK
    await database[0].close()  # a session that ends tells its counts
    await asyncio.sleep(0.5)
    with psycopg.connect(database[1]) as connection:
        [(files,)] = connection.execute(
            "select temp_files from pg_stat_database where datname = current_database()"
        ).fetchall()
    assert 1 <= files <= 4


async def test_a_server_that_is_away_is_not_ready() -> None:
    database = database_of("postgresql://nobody:x@127.0.0.1:9/none")
    assert await Readiness(database).of_database() == AWAY
    await database.close()
