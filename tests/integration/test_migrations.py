"""The migrations against a real PostgreSQL: they build what the models say, and can be taken back, or stopped."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from tempfile import TemporaryFile

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.startup import BAD_SETTINGS
from mailroom.settings.urls import database_url as sqlalchemy_url
from tests.conftest import ROOT, database_on
from tests.sink import PATIENCE, wait_for

TABLES = "select table_name from information_schema.tables where table_schema = 'public' order by 1"
REST = """
select typname from pg_type join pg_namespace on pg_namespace.oid = typnamespace
where nspname = 'public' and typtype in ('e', 'd')
union all select sequence_name from information_schema.sequences where sequence_schema = 'public'
union all select proname from pg_proc join pg_namespace on pg_namespace.oid = pronamespace where nspname = 'public'
"""
INDEXES = "select indexname from pg_indexes where schemaname = 'public' order by 1"
SCHEMA = """
with own as (select oid from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace)
select format('%s.%s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull,
    pg_get_expr(adbin, adrelid))
from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
where attrelid in (table own) and attnum > 0 and not attisdropped
union all select pg_get_indexdef(indexrelid) from pg_index where indrelid in (table own)
union all select format('%s %s', conrelid::regclass, replace(pg_get_constraintdef(oid), ' NOT VALID', ''))
from pg_constraint where conrelid in (table own)
order by 1
"""
"""Every column, index and constraint, in words."""
NOT_VALID = """
select indexrelid::regclass::text from pg_index where not indisvalid
union all select conname from pg_constraint where not convalidated
"""
BUILDING = """
select pid from pg_stat_activity where datname = current_database() and query like 'CREATE INDEX CONCURRENTLY%'
and state = 'active' and wait_event = 'virtualxid'
"""

FIRST = "9a99719015b5"
LAST_RELEASE = "e81c4a0b5d27"
"""The newest one of version 0.1.0."""
TASKS = "a58a6ea438e4"
BEFORE_TEST_KEYS = "d41f8b6a2c97"
INDEXED = "b3f60a9d27c4"
REVISIONS = [script.revision for script in ScriptDirectory(str(ROOT / "alembic")).walk_revisions()]

ROWS = """
insert into tasks (id, title) select gen_random_uuid(), 'a count' from generate_series(1, 100);
insert into mails (id, kind, recipient, on_uncertain, expires_at)
    select id, 'welcome', 'alice@example.org', 'hold', now() from tasks;
insert into attempts (mail_id, attempt, worker, outcome, ended_at)
    select id, 1, 'worker', case when row_number() over () = 1 then 'uncertain' else 'sent' end, now() from mails;
"""


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """A database with nothing in it."""
    with database_on(postgres, "migrations", template="template1") as url:
        yield url


@pytest.fixture
def early(empty: str) -> str:
    """A database with the first tables, and rows in them."""
    command.upgrade(alembic_for(empty), FIRST)
    with psycopg.connect(empty) as connection:
        connection.execute(ROWS)
    return empty


def alembic_for(url: str, **attributes: object) -> Config:
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.attributes.update(attributes, url=sqlalchemy_url(url))
    return config


def names(url: str, query: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(query).fetchall()]


def number(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0


def assert_at_head(url: str) -> None:
    """Raise where something is not as the models say, or was left unfinished."""
    assert names(url, "select version_num from alembic_version") == REVISIONS[:1]
    assert names(url, NOT_VALID) == []
    assert "ix_tasks_owner_id_created_at" not in names(url, INDEXES)
    assert number(url, "select count(*) from attempts where uncertain_at is not null") == 1
    command.check(alembic_for(url))


class Deploy:
    """`alembic upgrade head` in a process of its own."""

    def __init__(self, environment: dict[str, str], url: str) -> None:
        self._output = TemporaryFile()  # noqa: SIM115  # until `end`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            cwd=ROOT,
            env={**environment, "DATABASE_URL": url},
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def said(self) -> str:
        """What it said so far."""
        return os.pread(self._output.fileno(), 1_000_000, 0).decode()

    def end(self, timeout: float = 2 * PATIENCE) -> tuple[int, str]:
        """Return its exit code and what it said; it is killed, and that is an error, after `timeout` seconds."""
        with self._output:
            try:
                self._process.wait(timeout=timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise
            return self._process.returncode, self.said


@contextmanager
def old_snapshot(url: str) -> Iterator[psycopg.Connection]:
    """A transaction that has begun before, as a backup's: a concurrent build of an index waits for its end."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("select 1")
        yield connection
        connection.rollback()


def test_the_models_match_the_migrations(database_url: str) -> None:
    command.check(alembic_for(database_url))


def test_the_migrations_go_down_to_nothing_and_up_again(empty: str) -> None:
    config = alembic_for(empty)
    command.upgrade(config, "head")
    tables, indexes = names(empty, TABLES), names(empty, INDEXES)
    assert "mails" in tables
    command.downgrade(config, "base")
    assert names(empty, TABLES) == ["alembic_version"]
    assert names(empty, REST) == []
    command.upgrade(config, "head")
    assert (names(empty, TABLES), names(empty, INDEXES)) == (tables, indexes)
    command.check(config)


def test_a_second_deploy_changes_nothing(database_url: str) -> None:
    before = names(database_url, TABLES)
    command.upgrade(alembic_for(database_url), "head")
    assert names(database_url, TABLES) == before


@pytest.mark.parametrize("at", [FIRST, LAST_RELEASE])
def test_a_database_with_rows_comes_to_head(early: str, at: str) -> None:
    config = alembic_for(early)
    command.upgrade(config, at)
    command.upgrade(config, "head")
    assert_at_head(early)
    assert number(early, "select count(*) from tasks") == 100


def test_each_step_can_be_taken_back_and_taken_again(early: str) -> None:
    config = alembic_for(early)
    command.upgrade(config, "head")
    for revision, before in pairwise(REVISIONS):
        schema = names(early, SCHEMA)
        command.downgrade(config, before)
        command.upgrade(config, revision)
        assert names(early, SCHEMA) == schema, revision
        command.downgrade(config, before)
    command.upgrade(config, "head")
    assert_at_head(early)
    assert number(early, "select count(*) from tasks") == 100


def test_two_deploys_at_once_both_come_to_head(early: str, environment: dict[str, str]) -> None:
    with old_snapshot(early):
        deploys = [Deploy(environment, early)]
        wait_for(lambda: names(early, BUILDING), what="the first deploy builds an index")
        deploys.append(Deploy(environment, early))
        wait_for(lambda: "another deploy" in deploys[1].said, what="the second deploy says what it waits for")
        assert names(early, BUILDING), "the first one still builds"
    for deploy in deploys:
        code, said = deploy.end()
        assert code == 0, said
    assert_at_head(early)


@pytest.mark.parametrize("how", ["its connection", "its process"])
def test_a_deploy_that_was_stopped_while_it_built_an_index_can_be_run_again(
    early: str, environment: dict[str, str], how: str
) -> None:
    with old_snapshot(early):
        deploy = Deploy(environment, early)
        wait_for(lambda: names(early, BUILDING), what="an index is being built")
        if how == "its process":
            deploy._process.kill()
        else:
            number(early, f"select pg_terminate_backend(pid) from ({BUILDING}) as building")
        code, said = deploy.end()
        assert code != 0, said
    again = Deploy(environment, early)
    code, said = again.end()
    assert code == 0, said
    assert_at_head(early)


def test_an_index_that_is_there_already_is_kept_and_one_that_is_not_valid_is_built_anew(early: str) -> None:
    command.upgrade(alembic_for(early), TASKS)
    with psycopg.connect(early, autocommit=True) as connection:
        connection.execute("create index ix_tasks_owner_id_id on tasks (owner_id, id)")
        connection.execute("set statement_timeout = '1s'")
        with old_snapshot(early), pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(
                "create index concurrently ix_tasks_nudge_at on tasks (nudge_at) where nudge_at is not null"
            )
    there = number(early, "select 'ix_tasks_owner_id_id'::regclass::oid::bigint")
    assert names(early, NOT_VALID) == ["ix_tasks_nudge_at", "fk_tasks_part_of"]
    command.upgrade(alembic_for(early), "head")
    assert_at_head(early)
    assert number(early, "select 'ix_tasks_owner_id_id'::regclass::oid::bigint") == there


@contextmanager
def migrating(url: str, *, lock_timeout: float = 0.3, tries: int = 1_000) -> Iterator[list[BaseException | None]]:
    """A migration to head in a thread, waiting `lock_timeout` seconds for a table; at the end, how it ended."""
    ended: list[BaseException | None] = []

    def migrate() -> None:
        try:
            command.upgrade(alembic_for(url, lock_timeout=lock_timeout, pause=0.2, tries=tries), "head")
            ended.append(None)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=migrate)
    thread.start()
    yield ended
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_long_transaction_before_a_migration_holds_up_nobody_else_for_long(early: str) -> None:
    waits = "select 1 from pg_locks where not granted and mode = 'AccessExclusiveLock'"
    with psycopg.connect(early) as reading, migrating(early) as ended:
        reading.execute("select count(*) from tasks")
        wait_for(lambda: names(early, waits), what="the migration waits for the reader")
        with psycopg.connect(early) as writing:
            writing.execute("set statement_timeout = '30s'")
            writing.execute("insert into tasks (id, title) values (gen_random_uuid(), 'another')")
        assert not ended
        reading.rollback()
    assert ended == [None]
    assert_at_head(early)


WEBHOOKS = """
insert into api_keys (id, name, start, hash, scope, domains, origins, test)
    select gen_random_uuid(), test::text, test::text, test::text::bytea, 'full', '{}', '{}', test
    from (values (true), (false)) as kinds (test);
insert into webhook_endpoints (id, url, events, secret, key_id)
    select gen_random_uuid(), 'https://shop.example', '{}', '', id from api_keys;
"""


def test_a_webhook_that_a_test_key_made_before_hears_of_its_own_mails_alone(empty: str) -> None:
    config = alembic_for(empty)
    command.upgrade(config, BEFORE_TEST_KEYS)
    with psycopg.connect(empty) as connection:
        connection.execute(WEBHOOKS)
    command.upgrade(config, "head")
    own = "select name || ' ' || own_only from webhook_endpoints join api_keys on api_keys.id = key_id order by 1"
    assert names(empty, own) == ["false false", "true true"]


def test_a_migration_that_waits_for_one_that_waits_for_it_tries_again(early: str) -> None:
    """It has `tasks` and wants `accounts`; whoever changes an account's tasks comes the other way round."""
    waits = "select 1 from pg_locks where not granted and relation = 'accounts'::regclass"
    with psycopg.connect(early) as program, migrating(early, lock_timeout=10) as ended:
        program.execute("lock table accounts in row exclusive mode")
        wait_for(lambda: names(early, waits), what="the migration waits for the program")
        with suppress(psycopg.errors.DeadlockDetected):  # PostgreSQL ends who has waited longer: the migration
            program.execute("select count(*) from tasks")
        program.rollback()
    assert ended == [None]
    assert_at_head(early)


def test_a_migration_that_never_gets_its_table_says_who_is_in_the_way(early: str) -> None:
    with (
        psycopg.connect(early, application_name="a forgotten shell") as reading,
        migrating(early, tries=3) as ended,
    ):
        reading.execute("select count(*) from tasks")
        who = f"pid {reading.info.backend_pid}: a forgotten shell, idle in transaction"
        wait_for(lambda: ended, what="it gives up")
    assert isinstance(ended[0], SystemExit)
    assert who in str(ended[0])
    assert names(early, "select version_num from alembic_version") == [FIRST]
    command.upgrade(alembic_for(early), "head")
    assert_at_head(early)


def test_a_column_whose_values_were_not_filled_in_any_more_is_filled(early: str) -> None:
    command.upgrade(alembic_for(early), INDEXED)
    with psycopg.connect(early) as connection:
        connection.execute("alter table attempts add column uncertain_at timestamp with time zone")
    command.upgrade(alembic_for(early), "head")
    assert_at_head(early)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace("mailroom:", "mailroom:not-", 1), "does not accept the user and password"),
        (lambda url: f"{url}_not", "does not exist"),
        (lambda url: url.rpartition("@")[0] + "@127.0.0.1:9/none", "cannot be reached"),
        (lambda url: url.rpartition("@")[0] + "@nobody.invalid/none", "cannot be reached"),
        (lambda url: url.replace("mailroom:", "mailroom:a/", 1), "percent-encode"),
    ],
)
def test_a_database_that_cannot_be_used_is_a_sentence(
    environment: dict[str, str], empty: str, change: Callable[[str], str], words: str
) -> None:
    status, said = Deploy(environment, change(empty)).end()
    assert status == BAD_SETTINGS, said
    assert words in said
    assert "Traceback" not in said
    assert empty.split(":")[2].split("@", maxsplit=1)[0] not in said, "the password"


@pytest.mark.parametrize(
    ("right", "words"),
    [("create", "permission denied for schema public"), ("all", "no schema has been selected to create in")],
)
def test_a_user_who_may_not_make_tables_is_told_how_to_allow_it(
    environment: dict[str, str], empty: str, right: str, words: str
) -> None:
    with psycopg.connect(empty) as connection:
        connection.execute(f"revoke {right} on schema public from public, pg_database_owner")
    status, said = Deploy(environment, empty).end()
    assert status == BAD_SETTINGS, said
    assert words in said
    assert 'GRANT CREATE, USAGE ON SCHEMA public TO "mailroom";' in said
    assert "Traceback" not in said
