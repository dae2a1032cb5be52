"""Roles: operators may see and administer everything, viewers see states. The first one comes from the shell."""

from collections.abc import Sequence
from typing import Literal, get_args

from sqlalchemy import func, or_, select, update

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.errors import LastOperator, UnknownAccount
from mailroom.accounts.models import Account
from mailroom.accounts.views import AccountView
from mailroom.kit.database import UnitOfWork

GrantedRole = Literal["operator", "viewer"]
ROLES: tuple[str, ...] = get_args(GrantedRole)
LOCK = 0x6F706572  # "oper"


async def check_another(work: UnitOfWork, account: Account) -> None:
    """Make sure that somebody else operates Mailroom when this account no longer does. Raises `LastOperator`.

    Of two operators that leave at the same time, the second one is the last: it waits for the first one's commit.
    """
    if not account.is_operator or account.locked_at is not None:
        return
    await work.session.execute(select(func.pg_advisory_xact_lock(LOCK)))
    others = select(Account.id).where(
        Account.id != account.id, Account.is_operator, Account.deletes_at.is_(None), Account.locked_at.is_(None)
    )
    if await work.session.scalar(others.limit(1)) is None:
        raise LastOperator


class Operators:
    """Grants, revokes and lists roles."""

    async def grant(self, work: UnitOfWork, email: str, role: GrantedRole = "operator") -> AccountView:
        """Give the account of this address a role. Raises `InvalidAddress` and `UnknownAccount`."""
        return await self._set(work, email, role)

    async def revoke(self, work: UnitOfWork, email: str) -> AccountView:
        """Make the account of this address an ordinary one. Raises `InvalidAddress` and `UnknownAccount`."""
        return await self._set(work, email, None)

    async def list(self, work: UnitOfWork) -> Sequence[AccountView]:
        """Return the accounts that have a role, by address."""
        found = (
            select(Account).where(or_(Account.is_operator, Account.role == "viewer")).order_by(Account.email_key)
        )
        return [AccountView.of(account) for account in await work.session.scalars(found)]

    async def _set(self, work: UnitOfWork, email: str, role: GrantedRole | None) -> AccountView:
        key = Address.parse(email).key
        changed = update(Account).where(Account.email_key == key)
        changed = changed.values(role=role, is_operator=role == "operator")
        account = (await work.session.scalars(changed.returning(Account))).one_or_none()
        if account is None:
            raise UnknownAccount
        return AccountView.of(account)
