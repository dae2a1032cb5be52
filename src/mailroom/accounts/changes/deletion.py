"""Leaving: an account is deleted a week after its owner, or an operator, asked for that.

Until then its address stays taken, and the account can only cancel the deletion. `erasure.py` deletes it.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import func, select, update

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.browsers import described
from mailroom.accounts.changes.address_change import end_waiting_changes
from mailroom.accounts.errors import (
    OldDeletionLink,
    UnknownAccount,
    UsedDeletionLink,
    WrongDeletionLink,
)
from mailroom.accounts.models import Account
from mailroom.accounts.operators import check_another
from mailroom.accounts.security.security_log import NOTICE, EventKind, SecurityLog
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.tokens import KEEP_ACCOUNT, Tokens, mail_id_of
from mailroom.accounts.two_factor.owner import account_of, lock_account
from mailroom.accounts.views import Origin, Session, reader_of
from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.erasure import cancel_waiting
from mailroom.mail.models import Mail
from mailroom.mail.outbox import Outbox
from mailroom.statistics.counters import Counters

DELETION = "account_deletion"
"""The kind of mail that tells of the deletion, with the link that undoes it."""
TIME_TO_UNDO = timedelta(days=7)
NOBODY = Origin("")


class Audit(Protocol):
    """Writes an entry of the audit log in `work`; the type of `actor` belongs to `desk/audit_log.py`."""

    def __call__(
        self, work: UnitOfWork, actor: Any, action: str, *, target: str, target_id: UUID
    ) -> Awaitable[None]:
        """Write the entry."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """An account that is to be deleted, and when."""

    email: str
    deletes_at: datetime


class Deletion:
    """Begins deletions, and undoes them."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        *,
        tokens: Tokens,
        sessions: Sessions,
        log: SecurityLog,
        audit: Audit,
        counters: Counters | None = None,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._tokens = tokens
        self._sessions = sessions
        self._log = log
        self._audit = audit
        self._counters = counters or Counters()

    async def ask(self, session: Session, *, origin: Origin) -> datetime:
        """Begin the deletion of the account that is signed in; return when it is deleted.

        Every other session ends, waiting mails are cancelled, and a mail tells the owner. The caller has made sure
        that the sign-in is recent. Raises `LastOperator` if nobody else could operate this Mailroom.
        """
        async with self._database.begin() as work:
            account = await account_of(work, session)
            return await self._begin(work, account, EventKind.DELETION_ASKED, origin, session)

    async def delete(self, account_id: UUID, actor: Any) -> datetime:
        """Begin the deletion of an account on an operator's order; `actor` goes into the audit log.

        Raises `UnknownAccount`, `LastOperator`.
        """
        async with self._database.begin() as work:
            account = await lock_account(work, Account.id == account_id)
            due = await self._begin(work, account, EventKind.DELETION_ORDERED, NOBODY, None)
            await self._audit(work, actor, "account.deletion_asked", target="account", target_id=account.id)
            return due

    async def undo(self, account_id: UUID, actor: Any) -> None:
        """Undo a deletion on an operator's order. Raises `UnknownAccount`."""
        async with self._database.begin() as work:
            account = await lock_account(work, Account.id == account_id)
            if account.deletes_at is not None:
                await self._keep(work, account, NOBODY)
                await self._audit(work, actor, "account.deletion_undone", target="account", target_id=account.id)

    async def undo_own(self, session: Session, *, origin: Origin) -> None:
        """Keep the account that is signed in."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            if account.deletes_at is not None:
                await self._keep(work, account, origin)

    async def preview(self, token: str) -> Leaving:
        """Return the account that a link keeps; changes nothing.

        Raises `WrongDeletionLink`, `UsedDeletionLink`, `OldDeletionLink`.
        """
        async with self._database.begin() as work:
            account = await self._by_link(work, token)
        assert account.deletes_at is not None
        return Leaving(account.email, account.deletes_at)

    async def undo_by_link(self, token: str, *, origin: Origin) -> None:
        """Keep the account that the link names.

        Somebody who can read the account's mails need not be signed in. Raises as `preview` does.
        """
        async with self._database.begin() as work:
            await lock_account(work, Account.id == (await self._by_link(work, token)).id)
            account = await self._by_link(work, token)  # again, now that nobody else can use it
            await self._keep(work, account, origin)

    async def find(self, email: str) -> UUID:
        """Return the id of the account with this address. Raises `InvalidAddress`, `UnknownAccount`."""
        async with self._database.begin() as work:
            found = await work.session.scalar(
                select(Account.id).where(Account.email_key == Address.parse(email).key)
            )
        if found is None:
            raise UnknownAccount
        return found

    async def _begin(
        self, work: UnitOfWork, account: Account, kind: EventKind, origin: Origin, session: Session | None
    ) -> datetime:
        if account.deletes_at is not None:
            return account.deletes_at
        await check_another(work, account)
        # Notices of earlier events are still sent: a thief must not be able to stop them this way.
        await cancel_waiting(work, account.id, self._counters, but=[NOTICE])
        await end_waiting_changes(work, account.id)
        if session is None:
            await self._sessions.revoke_all(work, account.id)
        else:
            await self._sessions.revoke_others(work, account.id, but=session.id)
        by_owner = kind == EventKind.DELETION_ASKED
        words = {
            "browser": described(origin.user_agent) if by_owner else "",
            "by": "owner" if by_owner else "desk",
        }
        mail_id = await self._outbox.put(
            work, DELETION, account.email, words, owner_id=account.id, reader=reader_of(account)
        )
        await self._log.record(work, account.id, kind, origin, mail_id=mail_id)
        due = {"deletes_at": func.now() + TIME_TO_UNDO, "deletion_mail_id": mail_id}
        asked = update(Account).where(Account.id == account.id).values(due).returning(Account.deletes_at)
        deletes_at = await work.session.scalar(asked)
        assert deletes_at is not None
        return deletes_at

    async def _keep(self, work: UnitOfWork, account: Account, origin: Origin) -> None:
        await keep(work, account.id)
        await self._log.notify(work, account, EventKind.DELETION_UNDONE, origin)

    async def _by_link(self, work: UnitOfWork, token: str) -> Account:
        mail_id = mail_id_of(token)
        if mail_id is None:
            raise WrongDeletionLink
        rows = (
            select(Mail, Account)
            .outerjoin(Account, Account.deletion_mail_id == Mail.id)
            .where(Mail.id == mail_id, Mail.kind == DELETION)
            .execution_options(populate_existing=True)
        )
        row = (await work.session.execute(rows)).one_or_none()
        if row is None:
            raise WrongDeletionLink
        mail, account = row
        if mail.nonce is None:
            raise OldDeletionLink  # its account is deleted, or the nonce that the link is made from
        if not self._tokens.fits(token, mail.id, mail.nonce, KEEP_ACCOUNT):
            raise WrongDeletionLink
        if account is None:
            raise UsedDeletionLink
        found: Account = account
        return found


async def keep(work: UnitOfWork, account_id: UUID) -> None:
    """Undo the deletion of an account in `work`, if it is to be deleted."""
    stays = update(Account).where(Account.id == account_id).values(deletes_at=None, deletion_mail_id=None)
    await work.session.execute(stays)
