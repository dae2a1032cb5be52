"""The migration that tells look-alike addresses apart, on a database as earlier versions left it."""

from collections.abc import Iterator

import psycopg
import pytest
from alembic import command

from mailroom.accounts.addresses.address import key_of
from mailroom.ops.embedded.postgres import Postgres
from tests.conftest import database_on
from tests.integration.test_migrations import alembic_for

BEFORE, KEYS = "0c6b8f2e9a41", "5e1d7a94c03b"
LONG_S, STEVE = "\u017fteve@example.test", "steve@example.test"
ROWS = {
    "\u017fteve@example.test": "steve@example.test",
    "Stra\u00dfe@stra\u00dfe.test": "strasse@xn--strae-oqa.test",
    "\u03a3\u03bf\u03c6\u03cc\u03c2@example.test": "\u03c3\u03bf\u03c6\u03cc\u03c3@example.test",
    "Ren\u00e9@example.test": "ren\u00e9@example.test",
    "Alice@example.test": "alice@example.test",
}
"""Addresses → the keys they had."""
TABLES = {
    "accounts": "select email, email_key from accounts",
    "sign_ups": "select email, email_key from sign_ups",
    "sign_up_mails": "select email, m.email_key from sign_up_mails m join sign_ups s on s.id = m.sign_up_id",
    "password_mails": "select recipient, email_key from password_mails join mails on mails.id = mail_id",
}
ADD = """
with task as (insert into tasks (id, title) values (gen_random_uuid(), 'mail') returning id),
mail as (insert into mails (id, kind, recipient, on_uncertain, expires_at)
    select id, 'confirm_sign_up', %(email)s, 'resend', now() from task returning id),
sign_up as (insert into sign_ups (id, email, email_key, mail_id)
    select gen_random_uuid(), %(email)s, %(key)s, id from mail returning id, mail_id),
link as (insert into password_mails (mail_id, email_key) select id, %(key)s from mail),
account as (insert into accounts (id, email, email_key, password_hash)
    values (gen_random_uuid(), %(email)s, %(key)s, 'x'))
insert into sign_up_mails (mail_id, sign_up_id, email_key) select mail_id, id, %(key)s from sign_up
"""
ACCOUNT = "insert into accounts (id, email, email_key, password_hash) values (gen_random_uuid(), %s, %s, 'x')"


@pytest.fixture
def early(postgres: Postgres) -> Iterator[str]:
    """A database at the revision before, with a row of each table for each of `ROWS`."""
    with database_on(postgres, "address_keys", template="template1") as url:
        command.upgrade(alembic_for(url), BEFORE)
        with psycopg.connect(url) as connection:
            for email, key in ROWS.items():
                connection.execute(ADD, {"email": email, "key": key})
        yield url


def keys(url: str) -> dict[str, dict[str, str]]:
    with psycopg.connect(url) as connection:
        return {table: dict(connection.execute(query).fetchall()) for table, query in TABLES.items()}


def test_every_table_gets_the_keys_of_its_addresses_and_has_the_old_ones_back(early: str) -> None:
    config = alembic_for(early)
    command.upgrade(config, KEYS)
    assert keys(early) == {table: {email: key_of(email) for email in ROWS} for table in TABLES}
    command.downgrade(config, BEFORE)
    assert keys(early) == dict.fromkeys(TABLES, ROWS)


def test_keys_that_change_places_are_in_nobodys_way(early: str) -> None:
    with psycopg.connect(early) as connection:  # it has the key that another gets
        connection.execute(ACCOUNT, ["\u017f\u017fteve@example.test", LONG_S])
    command.upgrade(alembic_for(early), KEYS)
    assert keys(early)["accounts"][LONG_S] == LONG_S


@pytest.mark.parametrize("way", ["up", "down"])
def test_two_accounts_that_would_be_one_are_named_and_nothing_changes(early: str, way: str) -> None:
    config, owner = alembic_for(early), ("\u017fteve@Example.test", LONG_S)
    if way == "down":
        command.upgrade(config, KEYS)
        owner = (STEVE, STEVE)
    with psycopg.connect(early) as connection:
        connection.execute(ACCOUNT, owner)
    before = keys(early)
    with pytest.raises(SystemExit) as refused:
        command.upgrade(config, KEYS) if way == "up" else command.downgrade(config, BEFORE)
    said = str(refused.value)
    assert said.startswith("Nothing was changed")
    assert LONG_S in said and owner[0] in said and "Decide whose the address is" in said
    assert "alice" not in said.lower()
    assert keys(early) == before
    with psycopg.connect(early) as connection:
        connection.execute("delete from accounts where email = %s", [owner[0]])
    command.upgrade(config, KEYS) if way == "up" else command.downgrade(config, BEFORE)


def test_open_sign_ups_that_would_be_one_are_named_too(early: str) -> None:
    config = alembic_for(early)
    command.upgrade(config, KEYS)
    with psycopg.connect(early) as connection:
        connection.execute(
            "insert into sign_ups (id, email, email_key, mail_id)"
            " values (gen_random_uuid(), %s, %s, gen_random_uuid())",
            [STEVE, STEVE],
        )
    with pytest.raises(SystemExit, match=r"(?s)sign_ups: .*End one of each") as refused:
        command.downgrade(config, BEFORE)
    assert LONG_S in str(refused.value) and STEVE in str(refused.value)
    with psycopg.connect(early) as connection:
        connection.execute("update sign_ups set replaced_at = now() where email = %s", [STEVE])
    command.downgrade(config, BEFORE)


def test_links_that_went_to_a_look_alike_are_told(early: str, capsys: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(early) as connection:
        connection.execute(ACCOUNT, [STEVE, "steve-2@example.test"])  # any key: the long s has this one already
        connection.execute("delete from accounts where email = %s", [LONG_S])
        connection.execute("update accounts set email_key = %s where email = %s", [STEVE, STEVE])
        connection.execute(
            "update password_mails set account_id = (select id from accounts where email = %s) "
            "where mail_id = (select id from mails where recipient = %s)",
            [STEVE, LONG_S],
        )
    command.upgrade(alembic_for(early), KEYS)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("A link")]
    assert len(said) == 1 and f"went to {LONG_S}, not used" in said[0]
