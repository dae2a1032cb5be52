"""A primary that becomes a standby, and a standby that becomes the primary: real servers, one `Database`."""

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.ops.embedded.postgres import Postgres
from mailroom.settings.urls import database_url
from tests.sink import wait_for

WRITE = "insert into words (word) values (%(word)s)"
STANDBY = "select pg_is_in_recovery()"


class Replicable(Postgres):
    """A PostgreSQL whose WAL is good enough for a standby."""

    def prepare(self) -> None:
        super().prepare()
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("wal_level = replica\n")


class Pair:
    """A primary and a hot standby with the same data. The standby reads no WAL: what it was made with, it has."""

    def __init__(self, folder: Path) -> None:
        self.primary = Replicable(folder / "one")
        with self.primary.running(), psycopg.connect(self.primary.url) as connection:
            connection.execute("create table words (word text)")
        subprocess.run(["cp", "-a", folder / "one", folder / "two"], check=True)
        self.standby = Replicable(folder / "two")
        shutil.copy2(self.standby.data / "PG_VERSION", self.standby.data / "standby.signal")
        self._give_away(self.standby, "standby.signal")
        try:
            for server in (self.primary, self.standby):
                server.start().wait_ready()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Both servers, the standby first."""
        head, _, name = self.primary.url.rpartition("/")
        user, _, place = head.rpartition("@")
        return database_url(f"{user}@127.0.0.1:{self.standby.port},{place}/{name}")

    def promote(self) -> None:
        """What `pg_ctl promote` does."""
        (self.standby.data / "promote").touch()
        self._give_away(self.standby, "promote")
        self.standby.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: not self.is_standby())

    def is_standby(self) -> bool:
        with psycopg.connect(self.standby.url) as connection:
            row = connection.execute(STANDBY).fetchone()
        return bool(row and row[0])

    def make_primary_read_only(self) -> None:
        """As operators do before they move to another server; connections stay open."""
        with (self.primary.data / "postgresql.conf").open("a") as file:
            file.write("default_transaction_read_only = on\n")
        self.primary.process.send_signal(signal.SIGHUP)
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            wait_for(lambda: connection.execute("show transaction_read_only").fetchone() == ("on",))

    def stop(self) -> None:
        self.primary.stop()
        self.standby.stop()

    @staticmethod
    def _give_away(server: Postgres, name: str) -> None:
        owner = server.data.stat()
        os.chown(server.data / name, owner.st_uid, owner.st_gid)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    pair.stop()


@pytest.fixture
async def database(pair: Pair) -> AsyncIterator[Database]:
    database = Database(pair.url, connections=6, name="failover")
    yield database
    await database.close()


def ways(database: Database) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return each way to write."""

    async def orm() -> None:
        async with database.begin() as work:
            await work.session.execute(text("insert into words (word) values ('orm')"))

    async def fetch_in_orm() -> None:
        async with database.begin() as work:
            await work.write(WRITE, {"word": "fetch in orm"})

    async def plain() -> None:
        async with database.begin_plain() as work:
            await work.write(WRITE, {"word": "plain"})

    async def raw() -> None:
        async with database.connection() as connection:
            await connection.execute(WRITE, {"word": "raw"})

    return {
        "orm": orm,
        "fetch in orm": fetch_in_orm,
        "plain": plain,
        "raw": raw,
        "hot": lambda: database.fetch(WRITE, {"word": "hot"}),
    }


async def test_of_several_hosts_the_one_that_takes_writes_is_used(pair: Pair, database: Database) -> None:
    assert pair.is_standby()
    for write in ways(database).values():
        await write()
    with psycopg.connect(pair.primary.url) as connection:
        words = {row[0] for row in connection.execute("select word from words")}
    assert words == set(ways(database))


async def test_after_a_failover_the_pool_goes_to_the_new_primary(pair: Pair, database: Database) -> None:
    for write in ways(database).values():
        await write()
    pair.primary.stop()
    for write in ways(database).values():
        with pytest.raises(Unavailable):
            await write()
    pair.promote()
    for write in ways(database).values():
        await write()


@pytest.mark.parametrize("first", ["orm", "fetch in orm", "plain", "raw", "hot"])
async def test_a_primary_that_takes_no_writes_any_more_is_away_and_left(
    pair: Pair, database: Database, first: str
) -> None:
    for write in ways(database).values():
        await write()
    pair.make_primary_read_only()
    with pytest.raises(Unavailable):
        await ways(database)[first]()
    pair.promote()
    for write in ways(database).values():
        await write()
    assert await database.fetch(STANDBY, {}) == [(False,)]
    with psycopg.connect(pair.primary.url) as connection:
        query = "select count(*) from pg_stat_activity where application_name = 'failover'"
        assert connection.execute(query).fetchone() == (0,), "connections to the old primary stay open"
