"""Operators: accounts that may see and administer everything. Only the shell makes one."""

from sqlalchemy import update

from mailroom.accounts.addresses import Address
from mailroom.accounts.errors import UnknownAccount
from mailroom.accounts.models import Account
from mailroom.accounts.views import AccountView
from mailroom.kit.database import Database


class Operators:
    """Grants and revokes the rights of an operator."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def grant(self, email: str) -> AccountView:
        """Make the account of this address an operator's. Raises `InvalidAddress` and `UnknownAccount`."""
        return await self._set(email, is_operator=True)

    async def revoke(self, email: str) -> AccountView:
        """Make the account of this address an ordinary one. Raises `InvalidAddress` and `UnknownAccount`."""
        return await self._set(email, is_operator=False)

    async def _set(self, email: str, *, is_operator: bool) -> AccountView:
        key = Address.parse(email).key
        changed = update(Account).where(Account.email_key == key).values(is_operator=is_operator)
        async with self._database.begin() as work:
            account = (await work.session.scalars(changed.returning(Account))).one_or_none()
        if account is None:
            raise UnknownAccount
        return AccountView.of(account)
