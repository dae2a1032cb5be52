"""The rows of sign-ups: found, written, counted. Code that changes one holds the lock of its mailbox."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select

from mailroom.accounts.addresses.mailboxes import mailbox_of
from mailroom.accounts.mail_limits import SENT, Sent
from mailroom.accounts.models import OPEN, Account, SignUp, SignUpMail
from mailroom.accounts.views import Session
from mailroom.kit.database import Database, PlainWork, UnitOfWork
from mailroom.mail.kinds import Reader
from mailroom.mail.models import Mail
from mailroom.mail.states import State

CONFIRM = "confirm_sign_up"
ALREADY = "already_have_account"

WAITING = frozenset({State.QUEUED, State.RETRYING, State.SCHEDULED})

AT_ONCE = 1000
"""Rows one clean-up deletes at most."""
MOST_OPEN = 20
"""How many sign-ups whose mails were all withheld may wait for one address: the oldest ones beyond that end."""
CODES_TRIED = 10
"""A typed code may be that of any of an address's newest mails: people read the one they find."""

# The statements of each sign-up, in plain psycopg: they and Argon2 decide how many sign-ups one core can take.
ADD = """
insert into sign_ups (
    id, email, email_key, password_hash, session_id, mail_id, invitation_id, issuer, subject
) values (
    %(id)s, %(email)s, %(email_key)s, %(password_hash)s, %(session_id)s, %(mail_id)s, %(invitation_id)s,
    %(issuer)s, %(subject)s
)
"""
CHANGE = """
update sign_ups set email = %(email)s, password_hash = %(password_hash)s, mail_id = %(mail_id)s,
    issuer = %(issuer)s, subject = %(subject)s,
    mailed_at = now(), tries = 0, invitation_id = coalesce(%(invitation_id)s, invitation_id)
where id = %(id)s
"""
ADD_MAIL = """
insert into sign_up_mails (mail_id, sign_up_id, email_key, mailbox_key, withheld)
values (%(mail_id)s, %(id)s, %(email_key)s, %(mailbox_key)s, %(withheld)s)
"""
RENEW = """
update sign_up_mails set renewed_at = now()
where mail_id = (
    select mail_id from sign_up_mails where email_key = %(email_key)s and not withheld
    order by created_at desc limit 1
)
"""

SALTED = """
select coalesce(
    (select password_hash from accounts where email_key = %(email_key)s),
    (select password_hash from sign_ups
     where email_key = %(email_key)s and replaced_at is null and confirmed_at is null and password_hash is not null
     order by created_at desc limit 1)
)
"""

END_OLDEST = """
with ended as (
    update sign_ups set replaced_at = now(), password_hash = null
    where id in (
        select id from sign_ups as waiting
        where email_key = %(email_key)s and confirmed_at is null and replaced_at is null and not exists (
            select from sign_up_mails
            where sign_up_mails.sign_up_id = waiting.id and not sign_up_mails.withheld
        )
        order by created_at desc offset %(most)s
    )
    returning 1
)
"""

LOOK = f"""
{END_OLDEST}, sent as ({SENT})
select
    mine.id,
    array(select mail_id from sign_up_mails where sign_up_mails.sign_up_id = mine.id),
    owner.email, coalesce(owner.language, owner.browser_language), owner.time_zone,
    sent.*
from sent left join (
    select id from sign_ups
    where email_key = %(email_key)s and session_id = %(session_id)s
        and confirmed_at is null and replaced_at is null
    order by created_at desc limit 1
) as mine on true
left join accounts as owner on owner.email_key = %(email_key)s
"""  # noqa: S608  # of our own words only


@dataclass(frozen=True, slots=True)
class AddressStatus:
    """What is known of an address that a form names."""

    sign_up_id: UUID | None
    """The sign-up of this browser that waits, if there is one."""
    mail_ids: list[UUID]
    """The mails of that sign-up."""
    owned_as: str | None
    """How an account spells the address, if one has it."""
    owner: Reader
    """The language and time zone of that account's mails."""
    sent: Sent
    """How many mails forms have sent to its mailbox."""


@dataclass(frozen=True, slots=True)
class MailedSignUp:
    """A sign-up with one of its mails, at one moment of PostgreSQL's clock."""

    sign_up: SignUp
    mail: Mail
    renewed_at: datetime | None
    now: datetime


def is_too_old(mail: Mail, lasts: timedelta, now: datetime, renewed_at: datetime | None = None) -> bool:
    """Tell whether a link or code is too old: `lasts` after the mail server accepted its mail, or it was renewed.

    While a mail waits, its time does not run, however often the server asked to be tried again (greylisting). The
    links of a mail that is being sent work, too: a click may be faster than the record. If it is unknown whether
    the mail was sent, its time runs from the handing over.
    """
    if mail.state in WAITING:
        return False
    sent_at = mail.ended_at if mail.state == State.SENT else mail.handing_over_at or mail.ended_at
    since = max(filter(None, (sent_at, renewed_at)), default=None)
    return since is not None and now - since > lasts


async def lock(work: UnitOfWork, email_key: str) -> None:
    """Wait for the lock of this address's mailbox until the end of `work`: forms for it run one by one."""
    await work.write("select pg_advisory_xact_lock(%(key)s::bigint)", {"key": lock_key(email_key)})


def lock_key(email_key: str) -> int:
    """Return the number of that lock, for units of work that begin with it."""
    mailbox = mailbox_of(email_key).encode()
    return int.from_bytes(hashlib.sha256(b"sign-ups of " + mailbox).digest()[:8], signed=True)


async def lock_of_mail(work: UnitOfWork, mail_id: UUID) -> None:
    """Lock the address this mail of a sign-up went to, if it is one."""
    row = select(SignUpMail.email_key).where(SignUpMail.mail_id == mail_id)
    if (email_key := await work.session.scalar(row)) is not None:
        await lock(work, email_key)


async def account_of(work: UnitOfWork, email_key: str) -> Account | None:
    """Return the account of an address, if it has one."""
    return await work.session.scalar(select(Account).where(Account.email_key == email_key))


async def open_of(work: UnitOfWork, email_key: str) -> list[SignUp]:
    """Return the sign-ups that wait for this address, newest first: one a browser at most."""
    rows = select(SignUp).where(SignUp.email_key == email_key, OPEN).order_by(SignUp.created_at.desc())
    return list((await work.session.scalars(rows.limit(MOST_OPEN * 2))).all())


def of_browser(waiting: Sequence[SignUp], session: Session | None) -> SignUp | None:
    """Return the sign-up of this browser among those that wait."""
    return next((one for one in waiting if session is not None and one.session_id == session.id), None)


async def of_mail(work: UnitOfWork, mail_id: UUID) -> MailedSignUp | None:
    """Return the sign-up a mail belongs to."""
    rows = (
        select(SignUp, Mail, SignUpMail.renewed_at, func.now())
        .join(SignUpMail, SignUpMail.sign_up_id == SignUp.id)
        .join(Mail, Mail.id == SignUpMail.mail_id)
        .where(SignUpMail.mail_id == mail_id)
    )
    row = (await work.session.execute(rows)).one_or_none()
    return MailedSignUp(*row) if row else None


async def newest_of_browser(work: UnitOfWork, session_id: UUID) -> UUID | None:
    """Return the newest mail of a browser's sign-up: one that waits, or else one that the browser confirmed."""
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


async def mails_sent_to(work: UnitOfWork, email_key: str) -> list[tuple[Mail, datetime | None]]:
    """Return the newest mails with a code that were sent to an address, and when each was renewed."""
    rows = (
        select(Mail, SignUpMail.renewed_at)
        .join(SignUpMail, SignUpMail.mail_id == Mail.id)
        .where(SignUpMail.email_key == email_key, ~SignUpMail.withheld, Mail.kind == CONFIRM)
        .order_by(SignUpMail.created_at.desc(), SignUpMail.mail_id.desc())
        .limit(CODES_TRIED)
    )
    return [(mail, renewed_at) for mail, renewed_at in await work.session.execute(rows)]


async def salted_hash(database: Database, email_key: str) -> str | None:
    """Return a password hash whose salt a new one of this address should have: the account's, or a sign-up's."""
    rows: list[Any] = await database.fetch(SALTED, {"email_key": email_key})
    known: str | None = rows[0][0]
    return known


async def look(work: PlainWork, email_key: str, session_id: UUID) -> AddressStatus:
    """Return what is known of an address. Sign-ups that wait for it beyond `MOST_OPEN` are ended."""
    wanted = {
        "email_key": email_key,
        "mailbox_key": mailbox_of(email_key),
        "session_id": session_id,
        "most": MOST_OPEN,
    }
    rows: list[Any] = await work.fetch(LOOK, wanted)
    sign_up_id, mail_ids, owned_as, language, time_zone, *sent = rows[0]
    return AddressStatus(sign_up_id, mail_ids, owned_as, Reader(language, time_zone), Sent(*sent))


async def sent_to(work: PlainWork, email_key: str) -> Sent:
    """Return how many mails forms sent to the mailbox of an address."""
    rows: list[Any] = await work.fetch(SENT, {"mailbox_key": mailbox_of(email_key)})
    return Sent(*rows[0])


async def write(work: PlainWork, sign_up: Mapping[str, Any], *, is_new: bool, withheld: bool) -> None:
    """Insert a sign-up (its columns by name), or change it, and note that its mail belongs to it."""
    await work.write(ADD if is_new else CHANGE, sign_up)
    await add_mail(work, sign_up["id"], sign_up["email_key"], sign_up["mail_id"], withheld=withheld)


async def add_mail(work: PlainWork, sign_up_id: UUID, email_key: str, mail_id: UUID, *, withheld: bool) -> None:
    """Note that a mail belongs to a sign-up. If it is withheld, the newest one that was sent is renewed."""
    mail = {
        "mail_id": mail_id,
        "id": sign_up_id,
        "email_key": email_key,
        "mailbox_key": mailbox_of(email_key),
        "withheld": withheld,
    }
    await work.write(ADD_MAIL, mail)
    if withheld:
        await work.write(RENEW, {"email_key": email_key})


async def purge(work: UnitOfWork, *, older_than: timedelta) -> int:
    """Delete a bounded number of sign-ups that were not confirmed in time; return how many."""
    old = (
        select(SignUp.id)
        .where(SignUp.confirmed_at.is_(None), SignUp.mailed_at < func.now() - older_than)
        .limit(AT_ONCE)
    )
    gone = delete(SignUp).where(SignUp.id.in_(old)).returning(SignUp.id)
    return len((await work.session.scalars(gone)).all())
