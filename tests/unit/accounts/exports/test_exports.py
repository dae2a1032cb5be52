"""House rule: an export holds everything of an account that has rows, or says why not."""

import inspect

from mailroom.accounts.exports import exports
from mailroom.accounts.models import Account
from mailroom.kit.database import Base

LEFT_OUT = {
    "exports": "the export itself",
    "sign_ups": "became the account",
    "password_mails": "each is a mail, and in mails",
}
"""Tables that refer to an account and are not in its export, with the reason."""
EXPORTED = {"sessions": "sessions", "account_events": "security_history", "address_changes": "address_changes"}
"""Table → its name in the export."""


def test_every_table_that_refers_to_an_account_is_in_its_export() -> None:
    own = {
        table.name
        for table in Base.metadata.tables.values()
        for key in table.foreign_keys
        if key.target_fullname == f"{Account.__tablename__}.id"
    }
    account_room = {name for name in own if not name.startswith(("api_", "webhook", "idempotency", "audit"))}
    assert account_room == set(EXPORTED) | set(LEFT_OUT)
    source = inspect.getsource(exports)
    assert all(f'("{name}", ' in source for name in EXPORTED.values())


def test_no_secret_column_is_exported() -> None:
    columns = {
        *exports.ACCOUNT,
        *exports.SESSIONS,
        *exports.EVENTS,
        *exports.CHANGES,
        *exports.MAILS,
        *exports.TASKS,
    }
    assert not {"password_hash", "token_hash", "nonce", "params"} & columns
