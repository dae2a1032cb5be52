"""The rows of sign-ups: found, replaced, counted. Whoever changes one holds the lock of its address."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, select

from mailroom.accounts.models import OPEN, Account, PasswordMail, SignUp, SignUpMail
from mailroom.kit.database import Database, PlainWork, UnitOfWork
from mailroom.mail.models import Mail
from mailroom.mail.states import State

CONFIRM = "confirm_sign_up"
ALREADY = "already_have_account"

MOST_MAILS = 5
MAILS_WITHIN = timedelta(hours=1)
"""No address gets more mails of one sort within this time, whoever it belongs to."""
LIMIT = {"within": MAILS_WITHIN, "before": MOST_MAILS - 1}

AT_ONCE = 1000
"""Rows one clean-up deletes at most."""

# The statements of each sign-up, in plain psycopg: with Argon2 beside them they decide how many a core takes.
ADD = """
with added as (
    insert into sign_ups (id, email, email_key, password_hash, session_id, mail_id)
    values (%(id)s, %(email)s, %(email_key)s, %(password_hash)s, %(session_id)s, %(mail_id)s)
    returning id, email_key, mail_id
)
insert into sign_up_mails (mail_id, sign_up_id, email_key) select mail_id, id, email_key from added
"""

NEXT_MAIL = """
select extract(epoch from created_at + %(within)s - now()) from {table}
where email_key = %(email_key)s order by created_at desc offset %(before)s limit 1
"""

REPLACE_OPEN = f"""
with ended as (
    update sign_ups set replaced_at = now(), password_hash = null
    where email_key = %(email_key)s and confirmed_at is null and replaced_at is null
    returning id
)
select
    array(select mail_id from sign_up_mails where sign_up_id in (select id from ended)),
    (select email from accounts where email_key = %(email_key)s),
    ({NEXT_MAIL.format(table=SignUpMail.__tablename__)})
"""  # noqa: S608  # of our own words only


@dataclass(frozen=True, slots=True)
class Replaced:
    """The mails of the sign-up that was replaced, how an account spells the address, and what the limit says."""

    mail_ids: list[UUID]
    owned_as: str | None
    seconds_until_next_mail: float


@dataclass(frozen=True, slots=True)
class Found:
    """A sign-up with one of its mails, at one moment of PostgreSQL's clock."""

    sign_up: SignUp
    mail: Mail
    now: datetime


def is_too_old(mail: Mail, hours: int, now: datetime) -> bool:
    """Tell whether a mail was sent more than `hours` before `now`; the clock starts at its sending.

    One that is not recorded as sent (yet) is as good as new: a click may beat the record. Where nobody knows
    whether it was sent, it counts as sent.
    """
    sent_at = mail.ended_at if mail.state == State.SENT else mail.handing_over_at or mail.ended_at
    return sent_at is not None and now - sent_at > timedelta(hours=hours)


async def lock(work: UnitOfWork, email_key: str) -> None:
    """Wait for this address's turn, until the end of `work`: its sign-ups and confirmations go one by one."""
    await work.write("select pg_advisory_xact_lock(%(turn)s::bigint)", {"turn": turn_of(email_key)})


def turn_of(email_key: str) -> int:
    """Return the number of this address's lock, for units of work that begin with it."""
    return int.from_bytes(hashlib.sha256(b"sign-ups of " + email_key.encode()).digest()[:8], signed=True)


async def lock_of_mail(work: UnitOfWork, mail_id: UUID) -> None:
    """Lock the address this mail of a sign-up went to, if it is one."""
    row = select(SignUpMail.email_key).where(SignUpMail.mail_id == mail_id)
    if (email_key := await work.session.scalar(row)) is not None:
        await lock(work, email_key)


async def account_of(work: UnitOfWork, email_key: str) -> Account | None:
    """Return the account of an address, if it has one."""
    return await work.session.scalar(select(Account).where(Account.email_key == email_key))


async def open_of(work: UnitOfWork, email_key: str) -> SignUp | None:
    """Return the sign-up that waits for this address, if there is one."""
    return await work.session.scalar(select(SignUp).where(SignUp.email_key == email_key, OPEN))


async def of_mail(work: UnitOfWork, mail_id: UUID) -> Found | None:
    """Return the sign-up a mail belongs to."""
    return await _found(work, _with_mail().where(SignUpMail.mail_id == mail_id))


async def newest_of_browser(work: UnitOfWork, session_id: UUID) -> UUID | None:
    """Return the newest mail of the sign-up a browser speaks of: one that waits, or else one it confirmed."""
    rows = (
        select(SignUp.mail_id)
        .where(SignUp.session_id == session_id, SignUp.replaced_at.is_(None))
        .order_by(SignUp.confirmed_at.is_not(None), SignUp.created_at.desc(), SignUp.id.desc())
        .limit(1)
    )
    return await work.session.scalar(rows)


async def mail_ids_of(work: UnitOfWork, sign_up_ids: Sequence[UUID]) -> list[UUID]:
    """Return the ids of all mails of these sign-ups."""
    rows = select(SignUpMail.mail_id).where(SignUpMail.sign_up_id.in_(sign_up_ids))
    return list((await work.session.scalars(rows)).all())


async def mails_of(work: UnitOfWork, sign_up_id: UUID, *, newest: int) -> list[Mail]:
    """Return the newest mails of a sign-up."""
    rows = (
        select(Mail)
        .join(SignUpMail, SignUpMail.mail_id == Mail.id)
        .where(SignUpMail.sign_up_id == sign_up_id)
        .order_by(SignUpMail.created_at.desc(), SignUpMail.mail_id.desc())
        .limit(newest)
    )
    return list((await work.session.scalars(rows)).all())


async def hash_of_account(work: UnitOfWork | Database, email_key: str) -> str | None:
    """Return the password hash of an address's account, if it has one; in `work`, or as it is now."""
    query = "select password_hash from accounts where email_key = %(email_key)s"
    rows: list[Any] = await work.fetch(query, {"email_key": email_key})
    return str(rows[0][0]) if rows else None


async def add(work: PlainWork, sign_up: Mapping[str, Any]) -> None:
    """Write a sign-up (its columns by name) and that its mail belongs to it."""
    await work.write(ADD, sign_up)


async def add_mail(work: UnitOfWork, sign_up_id: UUID, email_key: str, mail_id: UUID) -> None:
    """Note that a mail belongs to a sign-up."""
    mail = {"mail_id": mail_id, "sign_up_id": sign_up_id, "email_key": email_key}
    await work.session.execute(insert(SignUpMail).values(mail))


async def replace_open(work: PlainWork, email_key: str) -> Replaced:
    """End the sign-up that waits for this address: its password is forgotten. Return what else is to be known."""
    rows: list[Any] = await work.fetch(REPLACE_OPEN, {"email_key": email_key, **LIMIT})
    mail_ids, owned_as, wait = rows[0]
    return Replaced(mail_ids, owned_as, max(0.0, float(wait or 0)))


async def seconds_until_next_mail(
    work: UnitOfWork, email_key: str, of: type[SignUpMail | PasswordMail] = SignUpMail
) -> float:
    """Return how long no further mail of a sort may go to an address, whoever it belongs to; 0: one may go now."""
    query = NEXT_MAIL.format(table=of.__tablename__)
    rows: list[Any] = await work.fetch(query, {"email_key": email_key, **LIMIT})
    return max(0.0, float(rows[0][0])) if rows else 0.0


async def purge(work: UnitOfWork, *, older_than: timedelta) -> int:
    """Delete a bounded number of sign-ups that were not confirmed in time; return how many."""
    old = (
        select(SignUp.id)
        .where(SignUp.confirmed_at.is_(None), SignUp.mailed_at < func.now() - older_than)
        .limit(AT_ONCE)
    )
    gone = delete(SignUp).where(SignUp.id.in_(old)).returning(SignUp.id)
    return len((await work.session.scalars(gone)).all())


def _with_mail() -> Select[SignUp, Mail, datetime]:
    return (
        select(SignUp, Mail, func.now())
        .join(SignUpMail, SignUpMail.sign_up_id == SignUp.id)
        .join(Mail, Mail.id == SignUpMail.mail_id)
    )


async def _found(work: UnitOfWork, rows: Select[SignUp, Mail, datetime]) -> Found | None:
    row = (await work.session.execute(rows)).one_or_none()
    return Found(*row) if row else None
