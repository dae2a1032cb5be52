"""A database of `mailroom up` that was put back from a copy of its files is known by the time they were made."""

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from mailroom.mail.ledger.identity import STAMP, statement
from mailroom.ops.embedded import copied
from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.restored import refusal
from tests.conftest import database_on

MAIL = """
insert into mails (id, kind, recipient, params, nonce, on_uncertain, nudge_at, expires_at)
values (gen_random_uuid(), 'welcome', 'alice@example.org', '{}', '', 'resend', now(), now() + interval '2 days')
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a database, as far as it matters here, that is known."""
    folder = tmp_path / "postgres"
    (folder / "data").mkdir(parents=True)
    (folder / copied.FILE).write_text("18")
    assert not copied.is_copy(folder), "nothing is noted yet"
    copied.note(folder)
    return folder


@pytest.mark.parametrize("how", [["cp", "-a"], ["cp", "-r"]], ids=" ".join)
def test_a_copy_that_was_put_back_is_one_also_the_second_time(
    folder: Path, tmp_path: Path, how: list[str]
) -> None:
    subprocess.run([*how, folder, tmp_path / "backup"], check=True)
    assert not copied.is_copy(folder)
    for _ in range(2):
        shutil.rmtree(folder)
        subprocess.run([*how, tmp_path / "backup", folder], check=True)
        assert copied.is_copy(folder)
        copied.note(folder)
        assert not copied.is_copy(folder)


def test_upkeep_and_a_new_place_make_no_copy(folder: Path, tmp_path: Path) -> None:
    file = folder / copied.FILE
    file.chmod(0o600)
    os.utime(file, (1, 1))
    shutil.chown(file, os.geteuid())
    folder.rename(tmp_path / "elsewhere")
    assert not copied.is_copy(tmp_path / "elsewhere")


def test_workers_are_refused_by_a_database_that_forgot_who_it_is(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(statement(STAMP).encode())
        connection.execute(MAIL.encode())
    assert refusal(database_url) is None
    copied.forget_identity(database_url)
    assert "mailroom restored --from" in str(refusal(database_url))


def test_before_the_migrations_there_is_nothing_to_forget(postgres: Postgres) -> None:
    with database_on(postgres, "not_migrated", template="template1") as url:
        copied.forget_identity(url)
