"""Deletes the accounts whose week is over (`deletion.py`), and all that is stored about them anywhere else.

`docs/rooms/accounts.md` lists what stays. A test searches every table for the address of a deleted account.
"""

import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from mailroom.accounts.models import (
    Account,
    AccountEvent,
    AddressChange,
    DeletedAddress,
    HeldAddress,
    Invitation,
    PasswordMail,
    SignUp,
    SignUpMail,
)
from mailroom.accounts.sessions import Sessions
from mailroom.events.log import forget, note
from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.erasure import are_being_sent, cancel_waiting, erase
from mailroom.statistics.counters import Counters
from mailroom.tasks.models import Task

logger = logging.getLogger(__name__)

AT_ONCE = 50
"""Accounts that one clean-up deletes at most."""

Forget = Callable[[UnitOfWork, UUID], Awaitable[None]]
"""Deletes in `work` what a room above stores about an account."""


class Erasure:
    """Deletes accounts. `also` deletes what the rooms above this one store about them."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        *,
        secret_keys: Sequence[str],
        also: Sequence[Forget] = (),
        counters: Counters | None = None,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._secret_keys = secret_keys
        self._also = also
        self._counters = counters or Counters()

    async def clean_up(self) -> None:
        """Delete a bounded number of accounts that are due. The sweep calls this."""
        due = select(Account.id).where(Account.deletes_at <= func.now()).order_by(Account.deletes_at)
        async with self._database.begin() as work:
            found = (await work.session.scalars(due.limit(AT_ONCE))).all()
        for account_id in found:
            await self._delete(account_id)

    async def deleted_at(self, work: UnitOfWork, email_key: str) -> datetime | None:
        """Return when an account with this address was last deleted, or None if none was."""
        hashes = [_hashed(key, email_key) for key in self._secret_keys]
        found = select(func.max(DeletedAddress.deleted_at)).where(DeletedAddress.address_hmac.in_(hashes))
        return await work.session.scalar(found)

    async def _delete(self, account_id: UUID) -> None:
        """Delete an account in one transaction. One with a mail or task under way waits for the next clean-up."""
        async with self._database.begin() as work:
            mine = select(Account).where(Account.id == account_id, Account.deletes_at <= func.now())
            account = await work.session.scalar(mine.with_for_update(skip_locked=True))
            if account is None or await are_being_sent(work, account_id) or await _runs(work, account_id):
                return
            await cancel_waiting(work, account_id, self._counters)
            mail_ids = await _mail_ids(work, account)
            await erase(work, mail_ids)
            await _forget_address(work, account.email_key, mail_ids)
            await work.session.execute(delete(Task).where(Task.owner_id == account_id, Task.name.is_not(None)))
            for forget_more in (forget, *self._also):
                await forget_more(work, account_id)
            await self._sessions.revoke_all(work, account_id)
            await work.session.execute(delete(Account).where(Account.id == account_id))
            tombstone = insert(DeletedAddress).values(
                address_hmac=_hashed(self._secret_keys[0], account.email_key)
            )
            again = tombstone.on_conflict_do_update(
                index_elements=["address_hmac"], set_={"deleted_at": func.now()}
            )
            await work.session.execute(again)
            await note(work, "account.deleted", account_id, {"account_id": str(account_id)})
        logger.info("account %s is deleted", account_id)


async def _runs(work: UnitOfWork, account_id: UUID) -> bool:
    running = select(Task.id).where(Task.owner_id == account_id, Task.lease_until > func.now())
    return await work.session.scalar(running.limit(1)) is not None


async def _mail_ids(work: UnitOfWork, account: Account) -> set[UUID]:
    """Return the mails to an account, and to its address before it was one."""
    key, of_account = account.email_key, account.id
    sign_ups = select(SignUp.id).where(or_(SignUp.account_id == of_account, SignUp.email_key == key))
    sources: list[Any] = [
        select(Task.id).where(Task.owner_id == of_account, Task.name.is_(None)),
        select(AccountEvent.mail_id).where(AccountEvent.account_id == of_account),
        select(AddressChange.mail_id).where(AddressChange.account_id == of_account),
        select(PasswordMail.mail_id).where(
            or_(PasswordMail.account_id == of_account, PasswordMail.email_key == key)
        ),
        select(SignUpMail.mail_id).where(or_(SignUpMail.email_key == key, SignUpMail.sign_up_id.in_(sign_ups))),
        select(Invitation.mail_id).where(or_(Invitation.email_key == key, Invitation.account_id == of_account)),
    ]
    found = [mail_id for source in sources for mail_id in await work.session.scalars(source)]
    return {mail_id for mail_id in found if mail_id is not None}


async def _forget_address(work: UnitOfWork, email_key: str, mail_ids: Collection[UUID]) -> None:
    """Delete what forms noted about an address. Rows that refer to the account are deleted with its row."""
    await work.session.execute(delete(HeldAddress).where(HeldAddress.mail_id.in_(mail_ids)))
    for noted in (SignUpMail, PasswordMail, Invitation):
        theirs = or_(noted.email_key == email_key, noted.mail_id.in_(mail_ids))
        await work.session.execute(delete(noted).where(theirs))
    await work.session.execute(delete(SignUp).where(SignUp.email_key == email_key))


def _hashed(secret_key: str, email_key: str) -> bytes:
    said = b"mailroom/accounts/deleted address" + email_key.encode(errors="surrogatepass")
    return hmac.digest(secret_key.encode(), said, hashlib.sha256)
