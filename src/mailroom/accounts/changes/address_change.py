"""Changing the address of an account: asked for with the password, confirmed by mail, and told to the old address.

A typing error in the new address does no harm: the link in its mail works only in a browser that is signed in to
the account. For a week the owner of the old address can undo the change, by the link of its notice
(`takeover.py`).
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, insert, update

from mailroom.accounts.addresses.address import Address, key_of
from mailroom.accounts.addresses.mailboxes import is_variant, mailbox_of
from mailroom.accounts.browsers import described
from mailroom.accounts.changes.mailed_links import LinkPurpose, MailedLink
from mailroom.accounts.changes.password_change import PasswordChange
from mailroom.accounts.errors import (
    NotThisAccount,
    OldAddressLink,
    SameAddress,
    UsedAddressLink,
    WrongAddressLink,
    WrongCurrentPassword,
)
from mailroom.accounts.mail_limits import FormMailQueue, is_over
from mailroom.accounts.models import Account, AddressChange, PasswordMail
from mailroom.accounts.security.security_log import EventKind, SecurityLog
from mailroom.accounts.sign_up import sign_ups
from mailroom.accounts.tokens import NEW_ADDRESS, Tokens
from mailroom.accounts.views import Origin, Session, reader_of
from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.administration import mark_received
from mailroom.mail.outbox import Outbox

CONFIRM_NEW = "new_address"
IN_USE = "address_in_use"
"""The kinds of mail to the new address: with a link, or to another account that has it. They look alike."""
LINK_LASTS = timedelta(hours=24)
"""Counted from the acceptance of the mail."""


LINK = LinkPurpose(NEW_ADDRESS, CONFIRM_NEW, AddressChange, wrong=WrongAddressLink, old=OldAddressLink)


class AddressChanges:
    """Lets members change the address of their account."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        password_change: PasswordChange,
        *,
        tokens: Tokens,
        queue: FormMailQueue,
        log: SecurityLog,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._password_change = password_change
        self._tokens = tokens
        self._queue = queue
        self._log = log

    async def ask(self, session: Session, *, email: str, password: str, origin: Origin) -> UUID:
        """Promise a mail to the new address, and tell the old one; return the ticket of the first mail.

        The change replaces an earlier one that nobody confirmed. The steps are the same if another account has the
        address. `password` is as in `PasswordChange.shown`. Raises `InvalidAddress`, `SameAddress`,
        `WrongCurrentPassword`, `RecentSignInNeeded`.
        """
        address = Address.parse(email)
        compared = await self._password_change.shown(session, password)
        if address.email == compared.email:
            raise SameAddress
        delay = await self._queue.delay()
        async with self._database.begin() as work:
            await sign_ups.lock(work, address.key)
            account = await work.session.get(Account, compared.id)
            if account is None or account.password_hash != compared.password_hash:
                raise WrongCurrentPassword
            owner = await sign_ups.account_of(work, address.key)
            is_others = owner is not None and owner.id != account.id
            withheld = is_over(
                await sign_ups.sent_to(work, address.key),
                has_account=owner is not None,
                is_variant=is_variant(address.key),
                is_notice=is_others,
            )
            mail_id = await self._outbox.put(
                work,
                IN_USE if is_others else CONFIRM_NEW,
                owner.email if owner and is_others else address.email,
                {"browser": described(origin.user_agent)},
                reader=reader_of(owner if owner and is_others else account),
                owner_id=account.id,
                typed=address.email,
                withheld=withheld,
                delay=delay,
            )
            await self._note(work, mail_id, account, address, withheld=withheld)
            await self._log.notify(work, account, EventKind.ADDRESS_ASKED, origin)
        return mail_id

    async def preview(self, token: str, session: Session | None) -> str:
        """Return the new address that a link confirms; changes nothing.

        Raises `WrongAddressLink`, `UsedAddressLink`, `OldAddressLink`, and `NotThisAccount` in a browser that is
        not signed in to the account.
        """
        async with self._database.begin() as work:
            return (await self._by_link(work, token, session)).asked.new_email

    async def confirm(self, token: str, *, session: Session | None, origin: Origin) -> None:
        """Change the address of the account. The old one is told, and can take it back. Raises as `preview`."""
        async with self._database.begin() as work:
            key = key_of((await self._by_link(work, token, session)).asked.new_email)
            await sign_ups.lock(work, key)
            found = await self._by_link(work, token, session)  # again, now that nobody else can use it
            owner = await sign_ups.account_of(work, key)
            if owner is not None and owner.id != found.account.id:
                raise WrongAddressLink  # somebody confirmed a sign-up with it meanwhile
            account, old = found.account, found.account.email
            moved = {"email": found.asked.new_email, "email_key": key}
            await work.session.execute(update(Account).where(Account.id == account.id).values(moved))
            this = update(AddressChange).where(AddressChange.mail_id == found.mail.id)
            await work.session.execute(this.values(confirmed_at=func.now(), old_email=old))
            sent = (PasswordMail.account_id == account.id, PasswordMail.used_at.is_(None))
            await work.session.execute(update(PasswordMail).where(*sent).values(used_at=func.now()))
            await mark_received(work, found.mail.id)
            await self._log.notify(work, account, EventKind.ADDRESS_CHANGED, origin, to=old)

    async def _note(
        self, work: UnitOfWork, mail_id: UUID, account: Account, address: Address, *, withheld: bool
    ) -> None:
        await end_waiting_changes(work, account.id)
        change = {
            "mail_id": mail_id,
            "account_id": account.id,
            "old_email": account.email,
            "new_email": address.email,
        }
        await work.session.execute(insert(AddressChange).values(change))
        counted = {
            "mail_id": mail_id,
            "email_key": address.key,
            "mailbox_key": mailbox_of(address.key),
            "withheld": withheld,
        }
        await work.session.execute(insert(PasswordMail).values(counted))  # for the limits of its mailbox

    async def _by_link(self, work: UnitOfWork, token: str, session: Session | None) -> MailedLink[AddressChange]:
        found = await LINK.find(work, self._tokens, token)
        if found.asked.confirmed_at or found.asked.ended_at:
            raise UsedAddressLink
        if sign_ups.is_too_old(found.mail, LINK_LASTS, found.now):
            raise OldAddressLink
        if session is None or session.account is None or session.account.id != found.account.id:
            raise NotThisAccount
        return found


async def end_waiting_changes(work: UnitOfWork, account_id: UUID) -> None:
    """End the changes of an account's address that nobody has confirmed: their links stop working."""
    waits = (
        AddressChange.account_id == account_id,
        AddressChange.confirmed_at.is_(None),
        AddressChange.ended_at.is_(None),
    )
    await work.session.execute(update(AddressChange).where(*waits).values(ended_at=func.now()))
