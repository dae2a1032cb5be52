"""The migrations against a real PostgreSQL: they build what the models say, and can be taken back."""

from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from mailroom.ops.embedded.postgres import Postgres
from mailroom.settings.urls import database_url as sqlalchemy_url
from tests.conftest import ROOT, database_on

TABLES = "select table_name from information_schema.tables where table_schema = 'public' order by 1"
REST = """
select typname from pg_type join pg_namespace on pg_namespace.oid = typnamespace
where nspname = 'public' and typtype in ('e', 'd')
union all select sequence_name from information_schema.sequences where sequence_schema = 'public'
union all select proname from pg_proc join pg_namespace on pg_namespace.oid = pronamespace where nspname = 'public'
"""


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """A database with nothing in it."""
    with database_on(postgres, "migrations", template="template1") as url:
        yield url


def alembic_for(url: str) -> Config:
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.attributes["url"] = sqlalchemy_url(url)
    return config


def names(url: str, query: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(query).fetchall()]


def test_the_models_match_the_migrations(database_url: str) -> None:
    command.check(alembic_for(database_url))


def test_the_migrations_go_down_to_nothing_and_up_again(empty: str) -> None:
    config = alembic_for(empty)
    command.upgrade(config, "head")
    tables = names(empty, TABLES)
    assert "mails" in tables
    command.downgrade(config, "base")
    assert names(empty, TABLES) == ["alembic_version"]
    assert names(empty, REST) == []
    command.upgrade(config, "head")
    assert names(empty, TABLES) == tables
    command.check(config)


def test_a_second_deploy_changes_nothing(database_url: str) -> None:
    before = names(database_url, TABLES)
    command.upgrade(alembic_for(database_url), "head")
    assert names(database_url, TABLES) == before
