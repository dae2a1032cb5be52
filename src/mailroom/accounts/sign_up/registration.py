"""Signing up, and asking for the mail again.

The steps are the same whether an address is new, waits for its confirmation or belongs to an account. Only the
choice of the mail differs, so nobody can tell the three cases apart.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, update

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.addresses.mailboxes import is_variant
from mailroom.accounts.browsers import described
from mailroom.accounts.errors import (
    AccountError,
    AlreadyConfirmed,
    InvalidAddress,
    TooSoon,
    UnknownSignUp,
    WeakPassword,
)
from mailroom.accounts.mail_limits import FormMailQueue, Sent, is_over
from mailroom.accounts.models import SignUp
from mailroom.accounts.passwords.hashing import NEW, Passwords
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_up import sign_ups
from mailroom.accounts.sign_up.errors import InvitationNeeded, NotTheInvited, SignUpClosed, WrongDomain
from mailroom.accounts.sign_up.invitations import Invitations
from mailroom.accounts.sign_up.sign_ups import MailedSignUp
from mailroom.accounts.views import NewSession, Session, reader_of
from mailroom.kit.database import Database, PlainWork, UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.mail.kinds import Reader
from mailroom.mail.outbox import Outbox
from mailroom.settings.registration import RegistrationRule
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
        queue: FormMailQueue,
        site: list[str],
        rule: RegistrationRule,
        invitations: Invitations,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._tickets = tickets
        self._passwords = passwords
        self._sessions = sessions
        self._queue = queue
        self._site = site
        self._rule = rule
        self._invitations = invitations

    async def sign_up(
        self, *, email: str, password: str, session: Session | NewSession, invitation: str | None = None
    ) -> UUID:
        """Take a sign-up; return the ticket of its mail. Sign-ups of other browsers go on beside it.

        A browser that signs up again with this address has one sign-up, with the password chosen last; each of
        its mails confirms it. A session that is new (`Sessions.new`) begins with the sign-up, in one transaction.
        `invitation` is the token of an invitation's link. Raises `InvalidAddress`, `WeakPassword`, `TooLong`,
        `Overloaded`, and what `check_rule` does; nothing has changed then.
        """
        with self._passwords.place(NEW):
            address = Address.parse(email)
            invitation_id = await self.check_rule(address, invitation)
            salted = await sign_ups.salted_hash(self._database, address.key)
        # With the salt of the other hashes of this address, one computation compares a password with all of them.
        context = [*address.words, *self._site]
        password_hash = await self._passwords.hash(password, context=context, like=salted)
        return await self._take(address, password_hash, session, invitation_id)

    async def sign_up_with_provider(
        self, *, email: str, session: Session, identity: tuple[str, str], invitation: str | None = None
    ) -> UUID:
        """Take a sign-up of somebody who signed in at another site; return the ticket of its mail.

        `identity` is issuer and subject there. The address is confirmed by mail like any other, and by the same
        rules, whatever the other site says of it; the account has no password then. Raises `InvalidAddress`, and
        what `check_rule` does.
        """
        address = Address.parse(email)
        invitation_id = await self.check_rule(address, invitation)
        none = self._passwords.useless(like=await sign_ups.salted_hash(self._database, address.key))
        return await self._take(address, none, session, invitation_id, identity)

    async def _take(
        self,
        address: Address,
        password_hash: str,
        session: Session | NewSession,
        invitation_id: UUID | None,
        identity: tuple[str | None, str | None] = (None, None),
    ) -> UUID:
        delay = await self._queue.delay()
        async with self._database.begin_plain(sign_ups.lock_key(address.key)) as work:
            browser = session.session if isinstance(session, NewSession) else session
            status = await sign_ups.look(work, address.key, browser.id)
            if isinstance(session, NewSession):
                await self._sessions.add(work, session)
            await self._tickets.drop_watchers(work, status.mail_ids, but=browser.id, follow_up="replaced")
            mail = _MailOfForm(
                status.sign_up_id or new_id(), address, status.owned_as, status.owner, status.sent, delay
            )
            mail_id = await self._promise(work, mail, browser)
            row = {
                "id": mail.sign_up_id,
                "email": address.email,
                "email_key": address.key,
                "password_hash": password_hash,
                "session_id": browser.id,
                "mail_id": mail_id,
                "invitation_id": invitation_id,
                "issuer": identity[0],
                "subject": identity[1],
            }
            await sign_ups.write(work, row, is_new=status.sign_up_id is None, withheld=mail.withheld)
        return mail_id

    async def join(self, work: UnitOfWork, waiting: SignUp, session: Session) -> UUID:
        """Give a browser that knows the password of a sign-up a sign-up of its own; return the ticket of its mail.

        The browser that signed up keeps its own. The caller holds the lock of the address.
        """
        mine = sign_ups.of_browser(await sign_ups.open_of(work, waiting.email_key), session)
        if mine is not None:
            return mine.mail_id
        account = await sign_ups.account_of(work, waiting.email_key)
        sent = await sign_ups.sent_to(work, waiting.email_key)
        address = Address(waiting.email, waiting.email_key)
        owned_as, owner = account.email if account else None, reader_of(account)
        mail = _MailOfForm(new_id(), address, owned_as, owner, sent, await self._queue.delay())
        mail_id = await self._promise(work, mail, session)
        row = {
            "id": mail.sign_up_id,
            "email": address.email,
            "email_key": address.key,
            "password_hash": waiting.password_hash,
            "session_id": session.id,
            "mail_id": mail_id,
            "invitation_id": waiting.invitation_id,
            "issuer": None,
            "subject": None,
        }
        await sign_ups.write(work, row, is_new=True, withheld=mail.withheld)
        return mail_id

    async def check_rule(self, address: Address, invitation: str | None) -> UUID | None:
        """Check whether this address may sign up; return the id of its invitation. No account is looked up.

        Raises `SignUpClosed`, `InvitationNeeded`, `WrongDomain`, `NotTheInvited`, and what the link of an
        invitation raises (`Invitations.of_token`).
        """
        if self._rule.mode == "closed":
            raise SignUpClosed
        if invitation:
            async with self._database.begin() as work:
                found = await self._invitations.of_token(work, invitation)
            if found.bound and found.email_key != address.key:
                raise NotTheInvited
            return found.id
        if not self._rule.admits(address.key):
            raise WrongDomain if self._rule.takes_strangers else InvitationNeeded
        return None

    async def refusals(self, *, email: str | None, password: str | None) -> list[AccountError]:
        """Return everything that `sign_up` would refuse of these two, each checked by itself; store nothing.

        A field that is None is not checked.
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

        Raises `UnknownSignUp` (also if it has ended), `AlreadyConfirmed` (by somebody who knows its
        password), and `TooSoon` with the seconds to wait.
        """
        delay = await self._queue.delay()
        async with self._database.begin() as work:
            await sign_ups.lock_of_mail(work, ticket)
            found = _of_this_browser(await sign_ups.of_mail(work, ticket), session)
            sign_up = found.sign_up
            if sign_up.confirmed_at:
                raise AlreadyConfirmed
            if (wait := _cooldown(found)) > 0:
                raise TooSoon(wait)
            account = await sign_ups.account_of(work, sign_up.email_key)
            sent = await sign_ups.sent_to(work, sign_up.email_key)
            address = Address(sign_up.email, sign_up.email_key)
            owned_as = account.email if account else None
            mail = _MailOfForm(sign_up.id, address, owned_as, reader_of(account), sent, delay)
            mail_id = await self._promise(work, mail, session)
            await sign_ups.add_mail(work, sign_up.id, sign_up.email_key, mail_id, withheld=mail.withheld)
            renewed = {"mail_id": mail_id, "mailed_at": func.now(), "tries": 0}
            await work.session.execute(update(SignUp).where(SignUp.id == sign_up.id).values(renewed))
        return mail_id

    async def can_resend_in(self, ticket: UUID, session: Session) -> float | None:
        """Return the seconds until `resend` may be asked for; None if it has nothing to send."""
        async with self._database.begin() as work:
            try:
                found = _of_this_browser(await sign_ups.of_mail(work, ticket), session)
            except UnknownSignUp:
                return None
        return None if found.sign_up.confirmed_at else _cooldown(found)

    async def _promise(self, work: PlainWork, mail: "_MailOfForm", session: Session) -> UUID:
        """Put the mail that fits the address into the outbox; its watchers cannot tell which it is.

        If an account has the address, the mail goes to it as the account spells it.
        """
        return await self._outbox.put(
            work,
            mail.kind,
            mail.owned_as or mail.address.email,
            {"sign_up": str(mail.sign_up_id), "browser": described(session.user_agent)},
            session_id=session.id,
            typed=mail.address.email,
            withheld=mail.withheld,
            delay=mail.delay,
            reader=mail.owner,
        )


@dataclass(frozen=True, slots=True)
class _MailOfForm:
    """A mail that is about to be promised: its sign-up, and what decides on its kind and time."""

    sign_up_id: UUID
    address: Address
    owned_as: str | None
    owner: Reader
    sent: Sent
    delay: timedelta

    @property
    def kind(self) -> str:
        return sign_ups.ALREADY if self.owned_as else sign_ups.CONFIRM

    @property
    def withheld(self) -> bool:
        has_account = self.owned_as is not None
        variant = is_variant(self.address.key)
        return is_over(self.sent, has_account=has_account, is_variant=variant, is_notice=has_account)


def _of_this_browser(found: MailedSignUp | None, session: Session) -> MailedSignUp:
    """Return `found` if it is this browser's and has not ended. Otherwise, the error is always the same."""
    if found is None or found.sign_up.session_id != session.id or found.sign_up.replaced_at:
        raise UnknownSignUp
    return found


def _cooldown(found: MailedSignUp) -> float:
    return max(0.0, COOLDOWN - (found.now - found.sign_up.mailed_at).total_seconds())
