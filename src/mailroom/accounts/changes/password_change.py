"""Changing the password while signed in. The present one has to be typed: a stolen cookie must not be enough.

A passkey that was used a short while ago replaces it if the passkey is older than the session and than a day, so
that a thief with a stolen cookie cannot add one for this. If there is no password, any recent sign-in is enough.
"""

from uuid import UUID

from sqlalchemy import func, update

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.authentication import lock_unchanged
from mailroom.accounts.errors import RecentSignInNeeded, UnknownAccount, WrongCurrentPassword
from mailroom.accounts.models import Account, PasswordMail
from mailroom.accounts.passwords.hashing import KNOWN, Passwords
from mailroom.accounts.security.security_log import EventKind, SecurityLog
from mailroom.accounts.sessions import Sessions, is_recent, showed_passkey
from mailroom.accounts.sign_up import sign_ups
from mailroom.accounts.two_factor.owner import account_of
from mailroom.accounts.two_factor.ways_in import ways_into
from mailroom.accounts.views import Origin, Session
from mailroom.kit.database import Database


class PasswordChange:
    """Lets members change their password."""

    def __init__(
        self, database: Database, passwords: Passwords, sessions: Sessions, log: SecurityLog, *, site: list[str]
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._sessions = sessions
        self._log = log
        self._site = site

    async def check(self, account_id: UUID, password: str) -> Account:
        """Return the account as it was at the comparison, if this is its password.

        Raises `WrongCurrentPassword`, and `UnknownAccount` if the account is gone.
        """
        with self._passwords.place(KNOWN):
            async with self._database.begin() as work:
                account = await work.session.get(Account, account_id)
        if account is None:
            raise UnknownAccount
        [is_owner] = await self._passwords.match(password, [account.password_hash])
        if not is_owner:
            raise WrongCurrentPassword
        return account

    async def asks_password(self, session: Session) -> bool:
        """Tell whether the present password must be typed: not if there is none, and not after an old passkey.

        If the password need not be typed, the sign-in must be a recent one.
        """
        async with self._database.begin() as work:
            account = await account_of(work, session)
            ways = await ways_into(work, account)
        return ways.has_password and not (ways.passkeys and showed_passkey(session))

    async def shown(self, session: Session, current: str) -> Account:
        """Return the account, once its owner has proved who they are.

        `current` is the present password, or empty if `asks_password` says that it need not be typed. Raises
        `WrongCurrentPassword`, `RecentSignInNeeded`, `UnknownAccount`.
        """
        if session.account is None:
            raise UnknownAccount
        if current or await self.asks_password(session):
            return await self.check(session.account.id, current)
        if not is_recent(session):
            raise RecentSignInNeeded
        async with self._database.begin() as work:
            return await account_of(work, session)

    async def change(
        self, session: Session, *, current: str, password: str, end_others: bool, origin: Origin
    ) -> None:
        """Change the password of the account that is signed in, and tell its owner by mail.

        With `end_others` every other session of the account ends. Links to a new password that were sent before
        stop working in any case. `current` is as in `shown`. Raises what `shown` raises, `WeakPassword`, and
        `TooLong`; nothing has changed then.
        """
        compared = await self.shown(session, current)
        context = [*Address(compared.email, compared.email_key).words, *self._site]
        changed = await self._passwords.hash(password, context=context, like=compared.password_hash)
        async with self._database.begin() as work:
            await sign_ups.lock(work, compared.email_key)
            account = await lock_unchanged(work, compared)
            if account is None:  # changed meanwhile, by another browser
                raise WrongCurrentPassword
            mine = update(Account).where(Account.id == account.id)
            await work.session.execute(mine.values(password_hash=changed))
            sent = (PasswordMail.account_id == account.id, PasswordMail.used_at.is_(None))
            await work.session.execute(update(PasswordMail).where(*sent).values(used_at=func.now()))
            if end_others:
                await self._sessions.revoke_others(work, account.id, but=session.id)
            await self._log.notify(work, account, EventKind.PASSWORD_CHANGED, origin)
