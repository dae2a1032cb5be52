"""What operators do with accounts: find them, lock and unlock them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.errors import InvalidAddress, UnknownAccount
from mailroom.accounts.models import Account, SignUp
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.views import role_of
from mailroom.kit.database import UnitOfWork

HIGHEST = chr(0x10FFFF)


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """An account in a list."""

    id: UUID
    email: str
    role: str | None
    created_at: datetime
    locked_at: datetime | None
    deletes_at: datetime | None

    @classmethod
    def of(cls, account: Account) -> "FoundAccount":
        """Return what a list shows of a row."""
        role = role_of(account.role, account.is_operator)
        times = account.created_at, account.locked_at, account.deletes_at
        return cls(account.id, account.email, role, *times)


class AccountAdministration:
    """What operators can do with accounts. Each method works in the caller's transaction."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def find(
        self, work: UnitOfWork, text: str = "", *, before: UUID | None = None, limit: int = 50
    ) -> Sequence[FoundAccount]:
        """Return accounts whose address begins with `text`, or ends with it if `text` begins with @.

        Without a text, return the newest accounts; with `before`, those that are older than that account.
        """
        query = select(Account).limit(limit)
        if text:
            query = query.where(_like(Account.email_key, text)).order_by(Account.email_key)
        else:
            query = query.order_by(Account.id.desc())
            query = query.where(Account.id < before) if before else query
        return [FoundAccount.of(account) for account in await work.session.scalars(query)]

    async def sign_ups(self, work: UnitOfWork, text: str = "", *, limit: int = 50) -> Sequence[SignUp]:
        """Return open sign-ups, the newest first; of addresses like `text`, as in `find`."""
        query = select(SignUp).where(SignUp.confirmed_at.is_(None), SignUp.replaced_at.is_(None)).limit(limit)
        if text:
            query = query.where(_like(SignUp.email_key, text))
        return (await work.session.scalars(query.order_by(SignUp.mailed_at.desc()))).all()

    async def get(self, work: UnitOfWork, account_id: UUID) -> Account:
        """Return an account. Raises `UnknownAccount`."""
        account = await work.session.get(Account, account_id)
        if account is None:
            raise UnknownAccount
        return account

    async def by_email(self, work: UnitOfWork, email: str) -> Account:
        """Return the account of an address. Raises `InvalidAddress`, `UnknownAccount`."""
        key = Address.parse(email).key
        account = (await work.session.scalars(select(Account).where(Account.email_key == key))).one_or_none()
        if account is None:
            raise UnknownAccount
        return account

    async def lock(self, work: UnitOfWork, account_id: UUID) -> bool:
        """Lock an account and end its sessions; return whether it was unlocked before. Raises `UnknownAccount`.

        Nobody can sign in to it until it is unlocked; the answer to a try is the same as for a wrong password.
        """
        changed = await self._set(work, account_id, Account.locked_at.is_(None), func.now())
        await self._sessions.revoke_all(work, account_id)
        return changed

    async def unlock(self, work: UnitOfWork, account_id: UUID) -> bool:
        """Unlock an account; return whether it was locked. Raises `UnknownAccount`."""
        return await self._set(work, account_id, Account.locked_at.is_not(None), None)

    async def _set(self, work: UnitOfWork, account_id: UUID, which: ColumnElement[bool], value: object) -> bool:
        await self.get(work, account_id)
        change = update(Account).where(Account.id == account_id, which).values(locked_at=value)
        return (await work.session.execute(change.returning(Account.id))).one_or_none() is not None


def _like(column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    """Return the condition for a whole address, the beginning of one, or ``@domain``; each uses an index."""
    typed = text.strip().lower()
    if not typed.startswith("@"):
        try:
            return column == Address.parse(text).key
        except InvalidAddress:
            return _begins(column.expression, typed)
    return _begins(func.reverse(column), typed[::-1])


def _begins(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    low: ColumnElement[bool] = column.op("~>=~", is_comparison=True)(text)
    high: ColumnElement[bool] = column.op("~<~", is_comparison=True)(text + HIGHEST)
    return and_(low, high)
