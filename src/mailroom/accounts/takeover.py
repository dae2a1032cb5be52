"""What the owner of an account can do about somebody who got into it: the link "this was not me" of a notice."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from mailroom.accounts import sign_ups
from mailroom.accounts.errors import OldNoticeLink, UsedNoticeLink, WrongNoticeLink
from mailroom.accounts.models import Account, AccountEvent
from mailroom.accounts.password_reset import PasswordReset
from mailroom.accounts.passwords import Passwords
from mailroom.accounts.security_log import EventKind, SecurityLog
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.tokens import NOT_ME, Tokens, mail_id_of
from mailroom.accounts.views import Origin, Session
from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.models import Mail

LINK_LASTS = timedelta(days=7)
"""From the acceptance of the notice: people read their mail after a holiday, too."""


@dataclass(frozen=True, slots=True)
class _Notice:
    """The notice of a link, at one moment of PostgreSQL's clock."""

    event: AccountEvent
    mail: Mail
    account: Account
    now: datetime


class Takeover:
    """Ends what somebody else does in an account, at its owner's word."""

    def __init__(
        self,
        database: Database,
        password_reset: PasswordReset,
        *,
        tokens: Tokens,
        passwords: Passwords,
        sessions: Sessions,
        log: SecurityLog,
    ) -> None:
        self._database = database
        self._password_reset = password_reset
        self._tokens = tokens
        self._passwords = passwords
        self._sessions = sessions
        self._log = log

    async def preview(self, token: str) -> str:
        """Return the address of the account that the link secures; changes nothing.

        Raises `WrongNoticeLink`, `UsedNoticeLink`, `OldNoticeLink`.
        """
        async with self._database.begin() as work:
            return (await self._by_link(work, token)).account.email

    async def disown(self, token: str, *, session: Session, origin: Origin) -> UUID:
        """End every session, make the password useless, and send a link to a new one; return that mail's ticket.

        Only the mailbox opens the account after that. Raises as `preview` does.
        """
        async with self._database.begin() as work:
            found = await self._by_link(work, token)
            await sign_ups.lock(work, found.account.email_key)
            found = await self._by_link(work, token)  # again, now that nobody else can use it
            account = found.account
            now_useless = {"password_hash": self._passwords.useless()}
            await work.session.execute(update(Account).where(Account.id == account.id).values(now_useless))
            told = (AccountEvent.account_id == account.id, AccountEvent.mail_id == found.mail.id)
            await work.session.execute(update(AccountEvent).where(*told).values(disowned_at=func.now()))
            await self._sessions.revoke_all(work, account.id)
            await self._log.record(work, account.id, EventKind.SECURED, origin)
            return await self._password_reset.send_link(work, account, session)

    async def _by_link(self, work: UnitOfWork, token: str) -> _Notice:
        mail_id = mail_id_of(token)
        if mail_id is None:
            raise WrongNoticeLink
        rows = (
            select(AccountEvent, Mail, Account, func.now())
            .join(Mail, Mail.id == AccountEvent.mail_id)
            .join(Account, Account.id == AccountEvent.account_id)
            .where(AccountEvent.mail_id == mail_id)
            .execution_options(populate_existing=True)
        )
        row = (await work.session.execute(rows)).one_or_none()
        if row is None:
            raise WrongNoticeLink
        found = _Notice(*row)
        if found.mail.nonce is None:
            raise OldNoticeLink  # so long ago that the clean-up dropped what the link is made from
        if not self._tokens.fits(token, found.mail.id, found.mail.nonce, NOT_ME):
            raise WrongNoticeLink
        if found.event.disowned_at:
            raise UsedNoticeLink
        if sign_ups.is_too_old(found.mail, LINK_LASTS, found.now):
            raise OldNoticeLink
        return found
