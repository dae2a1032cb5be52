"""Signing in. It takes one computation of Argon2, whether or not there is a hash to compare with.

Hashes made with older parameters are an exception: they take as long as those parameters take, until their owner
signs in.
"""

from sqlalchemy import select, update

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.errors import InvalidAddress, NotConfirmed, WrongCredentials
from mailroom.accounts.models import Account, SignUp
from mailroom.accounts.passwords.hashing import KNOWN, Passwords
from mailroom.accounts.sign_up import sign_ups
from mailroom.accounts.sign_up.registration import Registration
from mailroom.accounts.two_factor.sign_in import SignInSteps
from mailroom.accounts.views import Origin, Session, SignedIn
from mailroom.kit.database import Database, UnitOfWork

COMPARED = 3
"""How often a password is compared at most, if the account changes before its owner is let in."""


class Authentication:
    """Lets owners of accounts in."""

    def __init__(
        self,
        database: Database,
        registration: Registration,
        passwords: Passwords,
        steps: SignInSteps,
    ) -> None:
        self._database = database
        self._steps = steps
        self._registration = registration
        self._passwords = passwords

    async def sign_in(
        self,
        email: str,
        password: str,
        *,
        session: Session | None,
        user_agent: str,
        address: str | None = None,
        kept: bool = True,
    ) -> SignedIn:
        """Start a session of the account with this address and password, or have it wait for the second step.

        `kept` says that the browser stays signed in after it is closed.

        Raises `WrongCredentials`, and `NotConfirmed` for the password of a sign-up that waits. It raises that even
        if somebody else's account has the address, because the answer must not show this. After `NotConfirmed`
        this browser has a sign-up of its own.
        """
        email_key = _key(email)
        for _ in range(COMPARED):
            account = await self._owned(email_key, password, session)
            origin = Origin(user_agent, address)
            if started := await self._enter(account, password, session, origin, kept=kept):
                return started
        raise WrongCredentials

    async def _owned(self, email_key: str, password: str, session: Session | None) -> Account:
        """Return the account of this address and password as it was compared. Raises as `sign_in` does."""
        with self._passwords.place(KNOWN):
            async with self._database.begin() as work:
                account = await sign_ups.account_of(work, email_key)
                waiting = await sign_ups.open_of(work, email_key)
        known = [account.password_hash if account else None, *(one.password_hash for one in waiting)]
        is_owner, *is_waiting = await self._passwords.match(password, known)
        if account and is_owner:
            return account
        matching = [one for one, matches in zip(waiting, is_waiting, strict=True) if matches]
        if matching:
            mine = sign_ups.of_browser(matching, session)
            raise await self._not_confirmed(mine or matching[0], session)
        raise WrongCredentials

    async def _enter(
        self, compared: Account, password: str, session: Session | None, origin: Origin, *, kept: bool
    ) -> SignedIn | None:
        """Let the owner in, or return None if the account has changed since the comparison.

        Argon2 takes its time, outside of any transaction: a reset may have come in between. The reset must end
        this session too, and the old password must not replace the new one.
        """
        renewed = None
        if self._passwords.outdated(compared.password_hash):
            renewed = await self._passwords.hash(password, like=compared.password_hash)
        async with self._database.begin() as work:
            account = await lock_unchanged(work, compared)
            if account is None:
                return None
            if renewed:
                mine = update(Account).where(Account.id == account.id)
                await work.session.execute(mine.values(password_hash=renewed))
            return await self._steps.finish(work, account, session, origin, kept=kept)

    async def _not_confirmed(self, waiting: SignUp, session: Session | None) -> NotConfirmed:
        """Give the browser a sign-up of its own: it has shown the password of one that waits."""
        if session is None:
            return NotConfirmed(None)
        async with self._database.begin() as work:
            await sign_ups.lock(work, waiting.email_key)
            newest = await work.session.get(SignUp, waiting.id)
            if newest is None or newest.replaced_at or newest.confirmed_at:
                return NotConfirmed(None)
            return NotConfirmed(await self._registration.join(work, newest, session))


async def lock_unchanged(work: UnitOfWork, compared: Account) -> Account | None:
    """Return the account, locked until the end of `work`, if its address and hash are those of the comparison."""
    same = (
        select(Account)
        .where(
            Account.id == compared.id,
            Account.email_key == compared.email_key,
            Account.password_hash == compared.password_hash,
        )
        .with_for_update(key_share=True)  # rows that refer to the account can still be written meanwhile
    )
    return await work.session.scalar(same)


def _key(email: str) -> str:
    try:
        return Address.parse(email).key
    except InvalidAddress:
        return ""  # no account has this key: the same steps follow
