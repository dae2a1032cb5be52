"""The ways to sign in to an account: the last one that is the owner's own cannot be removed."""

from dataclasses import dataclass

from sqlalchemy import func, select

from mailroom.accounts.models import Account, AccountIdentity
from mailroom.accounts.passwords.hashing import is_useless
from mailroom.accounts.two_factor.models import Passkey
from mailroom.kit.database import UnitOfWork


@dataclass(frozen=True, slots=True)
class WaysIn:
    """What an account can sign in with, as a first step.

    A mailed link to a new password always works, and is left out.
    """

    has_password: bool
    passkeys: int
    identities: int

    @property
    def count(self) -> int:
        """How many there are."""
        return self.has_password + self.passkeys + self.identities


async def ways_into(work: UnitOfWork, account: Account, issuers: tuple[str, ...] | None = None) -> WaysIn:
    """Return the ways into an account. `issuers`: only links with these other sites count (None: all)."""
    keys = select(func.count()).select_from(Passkey).where(Passkey.account_id == account.id)
    others = select(func.count()).select_from(AccountIdentity).where(AccountIdentity.account_id == account.id)
    if issuers is not None:
        others = others.where(AccountIdentity.issuer.in_(issuers))
    return WaysIn(
        not is_useless(account.password_hash),
        int(await work.session.scalar(keys) or 0),
        int(await work.session.scalar(others) or 0),
    )
