"""Signing up, and asking for the mail again.

The steps are the same whether an address is new, waits for its confirmation or is somebody's: there is no
branch but which mail goes out, so there is nothing to tell them apart by.
"""

from uuid import UUID

from sqlalchemy import func, update

from mailroom.accounts import sign_ups
from mailroom.accounts.addresses import Address
from mailroom.accounts.browsers import described
from mailroom.accounts.errors import (
    AccountError,
    AlreadyConfirmed,
    InvalidAddress,
    TooManyMails,
    TooSoon,
    UnknownSignUp,
    WeakPassword,
)
from mailroom.accounts.models import SignUp
from mailroom.accounts.passwords import NEW, Passwords
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_ups import Found
from mailroom.accounts.views import NewSession, Session
from mailroom.kit.database import Database, PlainWork
from mailroom.kit.ids import new_id
from mailroom.mail.outbox import Outbox
from mailroom.tasks.tickets import Tickets

COOLDOWN = 60.0
"""Seconds between two mails of one sign-up."""


class Registration:
    """Takes sign-ups and promises their mails."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        tickets: Tickets,
        passwords: Passwords,
        sessions: Sessions,
        *,
        site: list[str],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._tickets = tickets
        self._passwords = passwords
        self._sessions = sessions
        self._site = site

    async def sign_up(self, *, email: str, password: str, session: Session | NewSession) -> UUID:
        """Take a sign-up; return the ticket of its mail. It takes the place of an earlier one that waits.

        A session that is new (`Sessions.new`) begins with it, in one transaction.
        Raises `InvalidAddress`, `WeakPassword`, `TooLong`, `TooManyMails`, `Overloaded`; nothing has changed then.
        """
        with self._passwords.place(NEW):
            address = Address.parse(email)
            known = await sign_ups.hash_of_account(self._database, address.key)
        # The account's salt, where there is one: signing in then compares with both at the cost of one.
        context = [*address.words, *self._site]
        password_hash = await self._passwords.hash(password, context=context, like=known)
        async with self._database.begin_plain(sign_ups.turn_of(address.key)) as work:
            replaced = await sign_ups.replace_open(work, address.key)
            _heed_limit(replaced.seconds_until_next_mail)
            if isinstance(session, NewSession):
                await self._sessions.add(work, session)
                session = session.session
            await self._tickets.drop_watchers(work, replaced.mail_ids, but=session.id, follow_up="replaced")
            sign_up_id = new_id()
            mail_id = await self._promise(work, sign_up_id, address, session, owned_as=replaced.owned_as)
            written = {"id": sign_up_id, "email": address.email, "email_key": address.key, "mail_id": mail_id}
            await sign_ups.add(work, {**written, "password_hash": password_hash, "session_id": session.id})
        return mail_id

    async def refusals(self, *, email: str | None, password: str | None) -> list[AccountError]:
        """Return everything that `sign_up` would refuse of these two, each checked by itself; stores nothing.

        None stands for a field that need not be checked.
        """
        found: list[AccountError] = []
        words: list[str] = []
        if email is not None:
            try:
                words = Address.parse(email).words
            except InvalidAddress as error:
                found.append(error)
        if password is not None:
            try:
                await self._passwords.check(password, [*words, *self._site])
            except WeakPassword as error:
                found.append(error)
        return found

    async def resend(self, *, ticket: UUID, session: Session) -> UUID:
        """Promise another mail for the sign-up of this ticket; return the new ticket. Codes may be tried anew.

        Raises `UnknownSignUp` (also where it was replaced), `AlreadyConfirmed` (by whoever knows its
        password), `TooSoon` and `TooManyMails` with the seconds to wait.
        """
        async with self._database.begin() as work:
            await sign_ups.lock_of_mail(work, ticket)
            found = _of_this_browser(await sign_ups.of_mail(work, ticket), session)
            sign_up = found.sign_up
            if sign_up.confirmed_at:
                raise AlreadyConfirmed
            if (wait := _cooldown(found)) > 0:
                raise TooSoon(wait)
            _heed_limit(await sign_ups.seconds_until_next_mail(work, sign_up.email_key))
            address = Address(sign_up.email, sign_up.email_key)
            account = await sign_ups.account_of(work, address.key)
            owned_as = account.email if account else None
            mail_id = await self._promise(work, sign_up.id, address, session, owned_as=owned_as)
            await sign_ups.add_mail(work, sign_up.id, sign_up.email_key, mail_id)
            renewed = {"mail_id": mail_id, "mailed_at": func.now(), "tries": 0}
            await work.session.execute(update(SignUp).where(SignUp.id == sign_up.id).values(renewed))
        return mail_id

    async def can_resend_in(self, ticket: UUID, session: Session) -> float | None:
        """Return the seconds until `resend` may be asked for; None where it has nothing to send."""
        async with self._database.begin() as work:
            try:
                found = _of_this_browser(await sign_ups.of_mail(work, ticket), session)
            except UnknownSignUp:
                return None
            if found.sign_up.confirmed_at:
                return None
            limit = await sign_ups.seconds_until_next_mail(work, found.sign_up.email_key)
        return max(_cooldown(found), limit)

    async def _promise(
        self, work: PlainWork, sign_up_id: UUID, address: Address, session: Session, *, owned_as: str | None
    ) -> UUID:
        """Put the mail that fits the address into the outbox; its watchers cannot tell which it is.

        Where an account has the address, the mail goes to it as the account spells it: `owned_as`.
        """
        return await self._outbox.put(
            work,
            sign_ups.ALREADY if owned_as else sign_ups.CONFIRM,
            owned_as or address.email,
            {"sign_up": str(sign_up_id), "browser": described(session.user_agent)},
            session_id=session.id,
            typed=address.email,
        )


def _heed_limit(wait: float) -> None:
    if wait > 0:
        raise TooManyMails(wait)


def _of_this_browser(found: Found | None, session: Session) -> Found:
    """Return `found` where it waits in this browser. A foreign, unknown and replaced sign-up look alike."""
    if found is None or found.sign_up.session_id != session.id or found.sign_up.replaced_at:
        raise UnknownSignUp
    return found


def _cooldown(found: Found) -> float:
    return max(0.0, COOLDOWN - (found.now - found.sign_up.mailed_at).total_seconds())
