"""House rule: an export holds every column of an account's rows, or says why not."""

from uuid import UUID

from sqlalchemy import Column, Table
from sqlalchemy.sql import visitors

from mailroom.accounts.exports.exports import tables_of
from mailroom.bootstrap import worker  # noqa: F401  # every table there is
from mailroom.i18n.sentences import SENTENCES
from mailroom.kit.database import Base

NOBODY = UUID(int=0)
SECRET, OURS = "opens the account, or helps to guess what does", "how Mailroom works, and nothing about a person"
LEFT_OUT = {
    "exports": "the export itself",
    "sign_ups": "became the account",
    "password_mails": "each is a mail, and in mails",
    "pending_sign_ins": "over after minutes, and in the history then",
    "authentication_requests": "over after minutes, and in the history then",
    "api_keys": "a program's, and on the desk",
    "webhook_endpoints": "a program's, and on the desk",
    "saved_searches": "an operator's work, and on the desk",
    "accounts.email_key": "the address once more",
    "accounts.password_hash": SECRET,
    "accounts.deletion_mail_id": OURS,
    "accounts.codes_due_at": OURS,
    "totp_secrets.account_id": "the account",
    "totp_secrets.session_id": OURS,
    "totp_secrets.sealed": SECRET,
    "totp_secrets.last_step": OURS,
    "recovery_codes.account_id": "the account",
    "recovery_codes.code_hash": SECRET,
    "passkeys.account_id": "the account",
    "passkeys.credential_id": SECRET,
    "passkeys.public_key": SECRET,
    "passkeys.sign_count": OURS,
    "sessions.account_id": "the account",
    "sessions.token_hash": SECRET,
    "account_events.account_id": "the account",
    "account_events.mail_id": OURS,
    "account_events.disowned_at": OURS,
    "address_changes.account_id": "the account",
    "account_identities.account_id": "the account",
    "invitations.email_key": "the address once more",
    "invitations.mail_id": OURS,
    "invitations.inviter_id": "the account, or another person",
    "invitations.account_id": "the account, or another person",
}
"""Tables and columns that are not in an export, with the reason."""


def of_accounts() -> list[Table]:
    """Return `accounts` and every table that refers to it."""
    return [
        table
        for table in Base.metadata.tables.values()
        if table.name == "accounts" or any(key.target_fullname == "accounts.id" for key in table.foreign_keys)
    ]


def exported() -> set[str]:
    return {
        f"{element.table.name}.{element.name}"
        for _, _, query, _ in tables_of(NOBODY)
        for selected in query.selected_columns
        for element in visitors.iterate(selected)
        if isinstance(element, Column)
    }


def test_every_column_that_tells_of_an_account_is_in_its_export() -> None:
    assert len(of_accounts()) >= 10
    wanted = {f"{table.name}.{column.name}" for table in of_accounts() for column in table.columns}
    left_out = {name for name in wanted if name in LEFT_OUT or name.partition(".")[0] in LEFT_OUT}
    assert wanted - left_out - exported() == set(), "add these to tables_of, or here with the reason"
    assert left_out & exported() == set()
    named = {name for name in LEFT_OUT if "." in name}
    assert named - wanted == set(), "there is no such column"


def test_each_table_has_a_sentence_for_the_page_that_shows_it_being_written() -> None:
    for name in (*[name for name, *_ in tables_of(NOBODY)], "apps"):
        assert f"export.writing_{name}" in SENTENCES


def test_no_secret_column_is_exported() -> None:
    columns = {name for _, names, _, _ in tables_of(NOBODY) for name in names}
    assert not {"password_hash", "token_hash", "nonce", "params", "sealed", "code_hash", "public_key"} & columns
    assert not {name for name in exported() if name.rpartition(".")[2] in {"nonce", "params", "password_hash"}}
