"""Signing in. It takes one computation of Argon2, whatever there is to compare with."""

from sqlalchemy import update

from mailroom.accounts import sign_ups
from mailroom.accounts.addresses import Address
from mailroom.accounts.errors import InvalidAddress, NotConfirmed, WrongCredentials
from mailroom.accounts.models import Account, SignUp
from mailroom.accounts.passwords import Passwords
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.views import Session, Started
from mailroom.kit.database import Database
from mailroom.progress.tickets import Tickets


class SigningIn:
    """Lets owners of accounts in."""

    def __init__(self, database: Database, tickets: Tickets, passwords: Passwords, sessions: Sessions) -> None:
        self._database = database
        self._tickets = tickets
        self._passwords = passwords
        self._sessions = sessions

    async def sign_in(self, email: str, password: str, *, session: Session | None, user_agent: str) -> Started:
        """Start a session of the account with this address and password.

        Raises `WrongCredentials`, and `NotConfirmed` for the password of a sign-up that waits: also where
        the address is another's account, which must not show. This browser may then watch and resend it.
        """
        email_key = _key(email)
        async with self._database.begin() as work:
            account = await sign_ups.account_of(work, email_key)
            waiting = await sign_ups.open_of(work, email_key)
        is_owner, is_waiting = await self._passwords.match(
            password,
            [account.password_hash if account else None, waiting.password_hash if waiting else None],
        )
        if account and is_owner:
            return await self._enter(account, password, session, user_agent)
        if waiting and is_waiting:
            raise await self._not_confirmed(waiting, session)
        raise WrongCredentials

    async def _enter(self, account: Account, password: str, session: Session | None, user_agent: str) -> Started:
        renewed = None
        if self._passwords.outdated(account.password_hash):
            renewed = await self._passwords.hash(password)
        async with self._database.begin() as work:
            if renewed:
                mine = update(Account).where(Account.id == account.id)
                await work.session.execute(mine.values(password_hash=renewed))
            return await self._sessions.enter(work, account, session, user_agent)

    async def _not_confirmed(self, waiting: SignUp, session: Session | None) -> NotConfirmed:
        """Make the sign-up this browser's, which has shown its password."""
        if session is None:
            return NotConfirmed(None)
        async with self._database.begin() as work:
            await sign_ups.lock(work, waiting.email_key)
            newest = await sign_ups.open_of(work, waiting.email_key)
            if newest is None or newest.id != waiting.id:
                return NotConfirmed(None)
            moved = update(SignUp).where(SignUp.id == newest.id).values(session_id=session.id)
            await work.session.execute(moved)
            await self._tickets.move_to(work, await sign_ups.mail_ids_of(work, [newest.id]), session.id)
            return NotConfirmed(newest.mail_id)


def _key(email: str) -> str:
    try:
        return Address.parse(email).key
    except InvalidAddress:
        return ""  # nobody's: the same steps follow
