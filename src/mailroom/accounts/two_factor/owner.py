"""An account that is about to change: found, and locked."""

from sqlalchemy import ColumnElement, select

from mailroom.accounts.errors import UnknownAccount
from mailroom.accounts.models import Account
from mailroom.accounts.views import Session
from mailroom.kit.database import UnitOfWork


async def account_of(work: UnitOfWork, session: Session) -> Account:
    """Return the account of a session, locked until the end of `work`. Raises `UnknownAccount`."""
    return await lock_account(work, Account.id == (session.account.id if session.account else None))


async def lock_account(work: UnitOfWork, which: ColumnElement[bool]) -> Account:
    """Return the account that is meant, locked until the end of `work`. Raises `UnknownAccount`."""
    found = select(Account).where(which).with_for_update(key_share=True)
    account = await work.session.scalar(found.execution_options(populate_existing=True))
    if account is None:
        raise UnknownAccount
    return account
