"""What the owner of an account can do about somebody who got into it: the link "this was not me" of a notice."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, update

from mailroom.accounts.addresses.address import key_of
from mailroom.accounts.changes.address_change import end_waiting_changes
from mailroom.accounts.changes.deletion import DELETION, keep
from mailroom.accounts.changes.mailed_links import LinkPurpose, MailedLink
from mailroom.accounts.changes.password_reset import PasswordReset
from mailroom.accounts.errors import OldNoticeLink, UsedNoticeLink, WrongNoticeLink
from mailroom.accounts.models import Account, AccountEvent, AddressChange
from mailroom.accounts.passwords.hashing import Passwords
from mailroom.accounts.providers.identities import unlink_all
from mailroom.accounts.security.security_log import NOTICE, EventKind, SecurityLog
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_up import sign_ups
from mailroom.accounts.tokens import NOT_ME, Tokens
from mailroom.accounts.two_factor.factors import Factors
from mailroom.accounts.views import Origin, Session
from mailroom.kit.database import Database, UnitOfWork

LINK_LASTS = timedelta(days=7)
"""Counted from the acceptance of the notice: people also read their mail after a holiday."""


LINK = LinkPurpose(NOT_ME, NOTICE, AccountEvent, wrong=WrongNoticeLink, old=OldNoticeLink, also=(DELETION,))


class Takeover:
    """Secures an account when its owner says that somebody else got into it."""

    def __init__(
        self,
        database: Database,
        password_reset: PasswordReset,
        *,
        tokens: Tokens,
        passwords: Passwords,
        sessions: Sessions,
        factors: Factors,
        log: SecurityLog,
    ) -> None:
        self._database = database
        self._password_reset = password_reset
        self._tokens = tokens
        self._passwords = passwords
        self._sessions = sessions
        self._factors = factors
        self._log = log

    async def preview(self, token: str) -> str:
        """Return the address of the account that the link secures; changes nothing.

        Raises `WrongNoticeLink`, `UsedNoticeLink`, `OldNoticeLink`.
        """
        async with self._database.begin() as work:
            return (await self._by_link(work, token)).mail.recipient or ""

    async def disown(self, token: str, *, session: Session, origin: Origin) -> UUID:
        """End every session, make the password useless, and send a link to a new one; return that mail's ticket.

        Second factors that were added since the notice are removed, too; older ones stay. Links with accounts of
        other sites are removed. After that, signing in takes the mailbox, together with the factors that stayed.
        Raises as `preview` does.
        """
        async with self._database.begin() as work:
            found = await self._by_link(work, token)
            await sign_ups.lock(work, found.account.email_key)
            found = await self._by_link(work, token)  # again, now that nobody else can use it
            account = await self._restored(work, found, origin)
            now_useless = {"password_hash": self._passwords.useless(account.password_hash)}
            await work.session.execute(update(Account).where(Account.id == account.id).values(now_useless))
            told = (AccountEvent.account_id == account.id, AccountEvent.mail_id == found.mail.id)
            await work.session.execute(update(AccountEvent).where(*told).values(disowned_at=func.now()))
            await self._factors.take_back(work, account, found.asked.created_at)
            await unlink_all(work, account)
            await self._sessions.revoke_all(work, account.id)
            await self._log.record(work, account.id, EventKind.SECURED, origin)
            return await self._password_reset.send_link(work, account, session)

    async def _restored(self, work: UnitOfWork, found: MailedLink[AccountEvent], origin: Origin) -> Account:
        """Return the account. If its address has changed since the notice, give it back the old one.

        Waiting changes of address end in any case, and a deletion is undone.
        """
        await keep(work, found.account.id)
        account, address = found.account, found.mail.recipient or ""
        await end_waiting_changes(work, account.id)
        if key_of(address) == account.email_key:
            return account
        moves = (
            AddressChange.account_id == account.id,
            AddressChange.ended_at.is_(None),
            AddressChange.confirmed_at > func.now() - LINK_LASTS,
        )
        ended = update(AddressChange).where(*moves).values(ended_at=func.now()).returning(AddressChange.old_email)
        left = {key_of(old) for old in await work.session.scalars(ended)}
        if key_of(address) not in left or await sign_ups.account_of(work, key_of(address)):
            raise WrongNoticeLink  # it left this address long ago, or somebody else has it
        back = update(Account).where(Account.id == account.id).values(email=address, email_key=key_of(address))
        await self._log.record(work, account.id, EventKind.ADDRESS_TAKEN_BACK, origin)
        again = back.returning(Account).execution_options(populate_existing=True)
        return (await work.session.scalars(again)).one()

    async def _by_link(self, work: UnitOfWork, token: str) -> MailedLink[AccountEvent]:
        found = await LINK.find(work, self._tokens, token)
        if found.asked.disowned_at:
            raise UsedNoticeLink
        if sign_ups.is_too_old(found.mail, LINK_LASTS, found.now):
            raise OldNoticeLink
        return found
