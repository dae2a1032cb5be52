"""a key joins nothing but case and canonical equivalence

Keys were case-folded: a name with a long s (U+017F) was the same account as one with an s. Only rows with letters
outside ASCII before the @ can change; they are few. Where two rows would get one key a person has to decide: the
migration names them and changes nothing.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "5e1d7a94c03b"
down_revision = "0c6b8f2e9a41"
branch_labels = None
depends_on = None

Key = Callable[[str], str]

OUTSIDE_ASCII = "octet_length({0}) <> char_length({0})"
ROWS = {
    "accounts": "select id, email_key, email from accounts",
    "sign_ups": "select id, email_key, email from sign_ups",
    "sign_up_mails": "select sign_up_mails.mail_id, sign_up_mails.email_key, sign_ups.email from sign_up_mails"
    " join sign_ups on sign_ups.id = sign_up_mails.sign_up_id",
    "password_mails": "select password_mails.mail_id, password_mails.email_key, mails.recipient as email"
    " from password_mails join mails on mails.id = password_mails.mail_id",
}
ADDRESS = {"sign_up_mails": "sign_ups.email", "password_mails": "mails.recipient"}
ID = {"sign_up_mails": "mail_id", "password_mails": "mail_id"}
UNIQUE = {"accounts": "true", "sign_ups": "replaced_at is null and confirmed_at is null"}
"""Which rows of a table must have a key of their own."""
DECIDE = {
    "accounts": "Decide whose the address is, and delete the other account or give it another address.",
    "sign_ups": "End one of each: update sign_ups set replaced_at = now(), password_hash = null where id = '…'.",
}
ELSEWHERE = """
select accounts.id, accounts.email, accounts.email_key, mails.recipient, password_mails.used_at
from password_mails join accounts on accounts.id = password_mails.account_id
join mails on mails.id = password_mails.mail_id where octet_length(mails.recipient) <> char_length(mails.recipient)
or octet_length(accounts.email) <> char_length(accounts.email)
"""


def upgrade() -> None:
    change_keys(case_alone)
    name_links_sent_elsewhere()


def downgrade() -> None:
    change_keys(case_folded)


def case_alone(local: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).lower())


def case_folded(local: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).casefold())


def change_keys(key: Key) -> None:
    """Give each row of the four tables the key of its address; none, where two would be the same."""
    new = {table: new_keys(table, key) for table in ROWS}
    same = [line for table in UNIQUE for line in collisions(table, new[table])]
    if same:
        raise SystemExit("\n".join(["Nothing was changed: some rows would have the same address.", *same]))
    for table, keys in new.items():
        for first in (True, False) if table in UNIQUE else (False,):  # no two may be the same on the way either
            for row_id, email_key in keys.items():
                change = f"update {table} set email_key = :key where {ID.get(table, 'id')} = :id"  # noqa: S608
                values = {"key": f"changing {row_id}" if first else email_key, "id": row_id}
                op.get_bind().execute(sa.text(change), values)


def new_keys(table: str, key: Key) -> dict[Any, str]:
    """Return the key that each row whose key changes gets. The domain's part, in ASCII, stays."""
    found = {}
    where = OUTSIDE_ASCII.format(ADDRESS.get(table, f"{table}.email"))
    for row_id, old, email in op.get_bind().execute(sa.text(f"{ROWS[table]} where {where}")):
        new = f"{key(email.rpartition('@')[0])}@{old.rpartition('@')[2]}"
        if new != old:
            found[row_id] = new
    return found


def collisions(table: str, keys: dict[Any, str]) -> list[str]:
    """Return lines that name the rows which would have one key, with what to do about them."""
    rows = f"select id, email, email_key from {table} where {UNIQUE[table]} and (id = any(:ids) or email_key = any(:keys))"  # noqa: E501, S608
    bound = {"ids": list(keys), "keys": list(keys.values())}
    together = defaultdict(list)
    for row_id, email, old in op.get_bind().execute(sa.text(rows), bound):
        together[keys.get(row_id, old)].append(f"{email} ({row_id})")
    lines = [f"  {table}: {' and '.join(sorted(some))}" for some in together.values() if len(some) > 1]
    return [*lines, DECIDE[table]] if lines else []


def name_links_sent_elsewhere() -> None:
    """Say whose links to a new password went to another address: they work no longer, but may have been used."""
    for account_id, email, email_key, recipient, used_at in op.get_bind().execute(sa.text(ELSEWHERE)):
        if case_alone(recipient.rpartition("@")[0]) != email_key.rpartition("@")[0]:
            ended = f"links of this account ended {used_at:%Y-%m-%d %H:%M}" if used_at else "not used"
            print(f"A link for {email} ({account_id}) went to {recipient}, {ended}.", flush=True)  # noqa: T201
