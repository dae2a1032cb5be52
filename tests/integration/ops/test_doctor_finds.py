"""The doctor finds servers with which nothing can work, by asking them: each a real one, wrong in its own way."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from mailroom.ops.doctor import database, providers, redis_servers
from mailroom.ops.doctor.findings import Finding
from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.valkey import Valkey
from mailroom.ops.terminal import Mark
from tests.conftest import database_on, settings_of
from tests.oidc_provider import running_provider
from tests.sink import wait_for

REDIS = "redis (broker, results, limits)"


def one(findings: list[Finding], check: str) -> Finding:
    (found,) = [finding for finding in findings if finding.check == check]
    return found


# -- sites that people sign in with


async def test_a_provider_that_does_not_know_us_or_calls_itself_otherwise(environment: dict[str, str]) -> None:
    with running_provider() as good, running_provider("/o/slug") as bad:
        listed = f"{good.setting('good')}, {bad.setting('bad').replace('secret', 'hunter2')}"
        told = settings_of(environment, oidc_providers=listed)
        right, wrong = await providers.check(told)
        assert (right.mark, wrong.mark) == (Mark.GOOD, Mark.BROKEN)
        assert "does not know this client" in wrong.words and "hunter2" not in wrong.words
        bad.document = {"issuer": f"{bad.url}/"}
        _, wrong = await providers.check(told)
        assert "another issuer" in wrong.words and bad.url in wrong.advice
        bad.document, bad.published = {}, []
        assert "no key" in (await providers.check(told))[1].words


# -- PostgreSQL


@pytest.mark.parametrize(
    ("encoding", "mark", "words"),
    [
        ("SQL_ASCII", Mark.BROKEN, "it keeps bytes and does not know which letters they are"),
        ("LATIN1", Mark.WARNING, "keeps its text as LATIN1: not every name can be kept"),
    ],
)
async def test_a_database_that_cannot_keep_every_letter(
    environment: dict[str, str], postgres: Postgres, encoding: str, mark: Mark, words: str
) -> None:
    template = f"template0 encoding '{encoding}' locale_provider libc locale 'C'"
    with database_on(postgres, "old_encoding", template=template) as url:
        found = one(await database.check(settings_of(environment, database_url=url)), "database")
    assert found.mark is mark
    assert words in found.words
    assert "createdb --encoding=UTF8" in found.advice


@pytest.mark.spoils_its_database
async def test_a_database_that_takes_no_writes_by_default(environment: dict[str, str], database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = database_url.rpartition("/")[2]
        connection.execute(f"alter database {name} set default_transaction_read_only = on")
    (found,) = await database.check(settings_of(environment))
    assert found.mark is Mark.BROKEN
    assert "takes no writes" in found.words


@pytest.mark.spoils_its_database
async def test_a_database_with_other_defaults_is_read_all_the_same(
    environment: dict[str, str], database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for setting in ("datestyle = 'SQL, DMY'", "client_encoding = 'LATIN1'", "timezone = 'Asia/Kathmandu'"):
            connection.execute(f"alter database {database_url.rpartition('/')[2]} set {setting}")
    found = await database.check(settings_of(environment))
    assert {finding.mark for finding in found} == {Mark.GOOD}


@pytest.mark.spoils_its_database
async def test_tables_that_somebody_else_owns(environment: dict[str, str], database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("revoke insert on mails, accounts from mailroom")
    found = one(await database.check(settings_of(environment)), "database rights")
    assert found.mark is Mark.BROKEN
    assert found.words.endswith(": accounts, mails")
    assert 'GRANT ALL ON ALL TABLES IN SCHEMA public TO "mailroom";' in found.advice


# -- Redis


class Cluster(Valkey):
    """A Valkey in cluster mode, alone."""

    def prepare(self) -> None:
        super().prepare()
        with (self.folder / "valkey.conf").open("a") as file:
            file.write("cluster-enabled yes\n")


@pytest.mark.parametrize("slots", [0, 16_383])
async def test_a_redis_in_cluster_mode(environment: dict[str, str], tmp_path: Path, slots: int) -> None:
    with Cluster(tmp_path / "cluster").running() as server:
        if slots:
            with redis.Redis.from_url(server.url) as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, slots)
                while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                    await asyncio.sleep(0.05)
        (found,) = await redis_servers.check(settings_of(environment, redis_url=server.url))
    assert found.mark is Mark.BROKEN
    assert "is a cluster, which Celery cannot use" in found.words


@contextmanager
def changed(client: "redis.Redis[bytes]", **options: str) -> Iterator[None]:
    before = {name: client.config_get(name)[name] for name in options}
    for name, value in options.items():
        client.config_set(name, value)
    try:
        yield
    finally:
        for name in options:
            client.config_set(name, before[name])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"maxmemory": "1"}, "is full, so it refuses writes"),
        ({"min-replicas-to-write": "1"}, "has too few replicas"),
    ],
)
async def test_a_redis_that_refuses_writes(
    environment: dict[str, str], redis_url: str, options: dict[str, str], words: str
) -> None:
    with redis.Redis.from_url(redis_url) as client, changed(client, **options):
        (found,) = await redis_servers.check(settings_of(environment))
    assert found.mark is Mark.BROKEN
    assert words in found.words


async def test_a_redis_that_is_a_replica(environment: dict[str, str], tmp_path: Path) -> None:
    with Valkey(tmp_path / "replica").running() as server, redis.Redis.from_url(server.url) as client:
        client.replicaof("127.0.0.1", "9")
        (found,) = await redis_servers.check(settings_of(environment, redis_url=server.url))
        client.replicaof("no", "one")
        assert len(await redis_servers.check(settings_of(environment, redis_url=server.url))) > 1
        wait_for(lambda: client.keys() == [], what="what it wrote is gone by itself")
    assert found.mark is Mark.BROKEN
    assert "takes no writes" in found.words
