"""The link "this was not me" of a sign-up: it ends, and its mailbox gets no such mails for a while.

Nobody else learns of it: forms answer as before, and their mails are withheld (`accounts/mail_limits.py`). The
same link also undoes this, for a person who wants to sign up after all.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from mailroom.accounts.addresses.mailboxes import mailbox_of
from mailroom.accounts.errors import UsedToken, WrongNoticeLink
from mailroom.accounts.models import OPEN, HeldAddress, SignUp
from mailroom.accounts.sign_up import sign_ups
from mailroom.accounts.tokens import NOT_MINE, Tokens, mail_id_of
from mailroom.kit.database import Database, UnitOfWork

HOLDS = timedelta(days=30)
AT_ONCE = 1000
"""Rows one clean-up deletes at most."""


@dataclass(frozen=True, slots=True)
class WithdrawalPreview:
    """The address that a link is for, and whether its mailbox gets no mail now."""

    email: str
    is_held: bool


class Withdrawal:
    """Lets the owner of a mailbox end what strangers began with its address."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens

    async def preview(self, token: str) -> WithdrawalPreview:
        """Say what a link is for; changes nothing. Raises `WrongNoticeLink`, `UsedToken` (there is an account)."""
        async with self._database.begin() as work:
            sign_up = await self._by_link(work, token)
            held = select(HeldAddress.until).where(
                HeldAddress.mailbox_key == mailbox_of(sign_up.email_key), HeldAddress.until > func.now()
            )
            return WithdrawalPreview(sign_up.email, await work.session.scalar(held) is not None)

    async def withdraw(self, token: str) -> None:
        """End every sign-up that waits for the address, and hold back further mails to it. Raises as `preview`."""
        async with self._database.begin() as work:
            sign_up = await self._by_link(work, token)
            await sign_ups.lock(work, sign_up.email_key)
            sign_up = await self._by_link(work, token)  # again, now that nobody can confirm it
            waiting = update(SignUp).where(SignUp.email_key == sign_up.email_key, OPEN)
            await work.session.execute(waiting.values(replaced_at=func.now(), password_hash=None))
            held = {
                "mailbox_key": mailbox_of(sign_up.email_key),
                "mail_id": sign_up.mail_id,
                "until": func.now() + HOLDS,
            }
            put = insert(HeldAddress).values(held)
            await work.session.execute(put.on_conflict_do_update(index_elements=["mailbox_key"], set_=held))

    async def allow(self, token: str) -> None:
        """Send mails to the address again. Raises as `preview`."""
        async with self._database.begin() as work:
            sign_up = await self._by_link(work, token)
            mine = HeldAddress.mailbox_key == mailbox_of(sign_up.email_key)
            await work.session.execute(delete(HeldAddress).where(mine))

    async def clean_up(self) -> None:
        """Delete a bounded number of what is over. The sweep calls this."""
        old = select(HeldAddress.mailbox_key).where(HeldAddress.until < func.now()).limit(AT_ONCE)
        async with self._database.begin() as work:
            await work.session.execute(delete(HeldAddress).where(HeldAddress.mailbox_key.in_(old)))

    async def _by_link(self, work: UnitOfWork, token: str) -> SignUp:
        mail_id = mail_id_of(token)
        found = await sign_ups.of_mail(work, mail_id) if mail_id else None
        if found is None or found.mail.kind != sign_ups.CONFIRM or found.mail.nonce is None:
            raise WrongNoticeLink
        if not self._tokens.fits(token, found.mail.id, found.mail.nonce, NOT_MINE):
            raise WrongNoticeLink
        if account := await sign_ups.account_of(work, found.sign_up.email_key):
            raise UsedToken(account.id)
        return found.sign_up
