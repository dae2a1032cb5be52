"""The account of who is signed in."""

from sqlalchemy import select

from mailroom.accounts.errors import UnknownAccount
from mailroom.accounts.models import Account
from mailroom.accounts.views import Session
from mailroom.kit.database import UnitOfWork


async def account_of(work: UnitOfWork, session: Session) -> Account:
    """Return the account of a session, locked until the end of `work`. Raises `UnknownAccount`."""
    mine = session.account.id if session.account else None
    found = select(Account).where(Account.id == mine).with_for_update(key_share=True)
    account = await work.session.scalar(found.execution_options(populate_existing=True))
    if account is None:
        raise UnknownAccount
    return account
