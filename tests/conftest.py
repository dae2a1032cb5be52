"""Real servers for every test that wants them: one PostgreSQL and one Valkey for each test process."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import psycopg
import pytest
from alembic import command
from alembic.config import Config

from mailroom.ops.embedded.postgres import Postgres, running_postgres
from mailroom.ops.embedded.valkey import Valkey, running_valkey
from mailroom.settings import Settings, load
from mailroom.settings.urls import database_url as sqlalchemy_url

if TYPE_CHECKING:
    from tests.stack import Stack

hypothesis.settings.register_profile("mailroom", deadline=None)  # how long an example takes depends on the machine
hypothesis.settings.load_profile("mailroom")

ROOT = Path(__file__).parents[1]
SECRET_KEY = "a-key-for-tests-only-but-long-enough-to-be-one"
ENVIRONMENT = tuple(name.upper() for name in Settings.model_fields)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Tests say what they want set; a developer's own environment or .env must not reach them."""
    kept = {name: os.environ.pop(name) for name in ENVIRONMENT if name in os.environ}
    yield
    os.environ.update(kept)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL with a migrated database to copy: `mailroom`."""
    with running_postgres(tmp_path_factory.mktemp("postgres") / "data") as server:
        migrate(server.url)
        yield server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey with a password."""
    with running_valkey(tmp_path_factory.mktemp("valkey") / "data") as server:
        yield server


def migrate(url: str) -> None:
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.attributes["url"] = sqlalchemy_url(url)
    command.upgrade(config, "head")


@contextmanager
def database_on(server: Postgres, name: str, *, template: str = "mailroom") -> Iterator[str]:
    """Make a database, lend its address, and drop it with whoever is still connected; migrated unless said."""
    with psycopg.connect(server.url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}")
    try:
        yield f"{server.url.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(server.url, dbname="postgres", autocommit=True) as connection:
            try:
                connection.execute(f"drop database {name} with (force)")
            except psycopg.errors.InsufficientPrivilege:
                # Autovacuum is at work there, which only a superuser may end; a plain drop sends it away itself.
                connection.execute(f"drop database {name}")


EMPTY = """
do $$
declare
    name text; filled text[] := '{}'; refused text[]; is_filled boolean; is_large boolean := false;
begin
    for name in select quote_ident(tablename) from pg_tables
        where schemaname = 'public' and tablename <> 'alembic_version'
    loop
        execute 'select exists (select from ' || name || ')' into is_filled;
        if is_filled then
            filled := filled || name;
            execute 'select exists (select from ' || name || ' offset 1000)' into is_filled;
            is_large := is_large or is_filled;
        end if;
    end loop;
    if is_large then
        execute 'truncate ' || array_to_string(filled, ', ') || ' cascade';
    end if;
    while filled <> '{}' loop  -- each time round, those go that nothing refers to any more
        refused := '{}';
        foreach name in array filled loop
            begin
                execute 'delete from ' || name;
            exception when foreign_key_violation then
                refused := refused || name;
            end;
        end loop;
        filled := refused;
    end loop;
    perform setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false)
    from pg_sequences where schemaname = 'public' and last_value is not null;
end $$
"""
"""Empties all tables in 3 ms of CPU; to truncate 46 tables with their indexes takes 60 ms, for each test."""
END_OTHERS = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where datname = current_database() and usename = current_user and pid <> pg_backend_pid()
"""
END_CLIENTS = """
select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and backend_type = 'client backend'
"""
"""Ends whoever uses that database; autovacuum at work there is for a superuser to end."""


@pytest.fixture(scope="session")
def _database(postgres: Postgres) -> Iterator[str]:
    with database_on(postgres, f"tests_{os.getpid()}") as url:
        yield url


@pytest.fixture
def database_url(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[str]:
    """An empty, migrated database: one for all tests in turn, of its own where one `spoils_its_database`."""
    if request.node.get_closest_marker("spoils_its_database"):
        with database_on(postgres, f"spoilt_{os.getpid()}") as url:
            yield url
        return
    url: str = request.getfixturevalue("_database")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(END_OTHERS)
        connection.execute(EMPTY)
    yield url


@pytest.fixture
def mailroom(stack: "Stack") -> "Stack":
    """All of Mailroom, up and well: the `stack` of a folder or file, made as new."""
    stack.reset()
    return stack


_numbers = iter(range(1_000_000))


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """An empty Redis database of the test's own."""
    import redis

    url = f"{valkey.url.rpartition('/')[0]}/{next(_numbers) % 16}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    """What a process of Mailroom needs to be told; SMTP_URL names a port where nobody listens."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SMTP_URL": "smtp://127.0.0.1:9?starttls=never",
        "MAIL_FROM": "Mailroom <hello@mailroom.example>",
        "PUBLIC_URL": "http://localhost:8000",
        "SECRET_KEY": SECRET_KEY,
        "WORKER_PROCESSES": "1",
        "SIGN_UP_SECONDS": "0",  # browsers of tests type faster than people
        "HOST": "127.0.0.1",
        "PYTHONPATH": str(ROOT / "src"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return settings_of(environment)


def settings_of_nowhere() -> Settings:
    """Return settings whose servers are nowhere, for what connects to none."""
    return load(
        database_url="postgresql://nobody@127.0.0.1:9/none",
        redis_url="redis://127.0.0.1:9/0",
        smtp_url="smtp://127.0.0.1:9?starttls=never",
        mail_from="hello@mailroom.example",
        public_url="http://localhost:8000",
        secret_key=SECRET_KEY,
    )


def settings_of(environment: dict[str, str], **changes: Any) -> Settings:
    """Return the settings a process with this environment would have."""
    fields = {name.lower(): value for name, value in environment.items() if name in ENVIRONMENT}
    return load(**{**fields, **changes})
