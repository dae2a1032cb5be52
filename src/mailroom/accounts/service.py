"""Who may come in: the one door to sign-ups, confirmations, sessions and accounts."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import update

from mailroom.accounts import sign_ups
from mailroom.accounts.addresses import Address
from mailroom.accounts.authentication import Authentication
from mailroom.accounts.confirmation import Confirmation
from mailroom.accounts.errors import UnknownAccount
from mailroom.accounts.models import Account
from mailroom.accounts.password_reset import PasswordReset
from mailroom.accounts.passwords import Passwords
from mailroom.accounts.registration import Registration
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.tokens import Tokens
from mailroom.accounts.views import AccountView, ConfirmationPreview, NewSession, Session
from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.outbox import Outbox
from mailroom.settings import Settings
from mailroom.tasks.tickets import Tickets

KEPT = timedelta(days=7)
"""How long an unconfirmed sign-up is kept at least, so that a late click gets a fitting answer."""
LONGEST_WAY = timedelta(days=3)
"""How long a mail may be on its way, and its clock not have begun (it expires after 48 hours)."""


class Accounts:
    """Signs people up, confirms their addresses, signs them in and out. Errors: `accounts/errors.py`."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        tickets: Tickets,
        tokens: Tokens,
        passwords: Passwords,
        sessions: Sessions,
        settings: Settings,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._hours = settings.confirmation_hours
        site = settings.public_host.partition(":")[0].split(".")
        self._signing_up = Registration(database, outbox, tickets, passwords, sessions, site=site)
        self._confirming = Confirmation(database, tickets, tokens, passwords, sessions, hours=self._hours)
        self._signing_in = Authentication(database, tickets, passwords, sessions)
        self._resetting = PasswordReset(
            database, outbox, tickets, tokens=tokens, passwords=passwords, sessions=sessions, site=site
        )

    async def sign_up(self, *, email: str, password: str, session: Session | NewSession) -> UUID:
        """Take a sign-up; return the ticket of its mail. More, and its errors: `Registration.sign_up`."""
        return await self._signing_up.sign_up(email=email, password=password, session=session)

    async def resend(self, *, ticket: UUID, session: Session) -> UUID:
        """Promise the mail once more; return the new ticket. More, and its errors: `Registration.resend`."""
        return await self._signing_up.resend(ticket=ticket, session=session)

    async def can_resend_in(self, ticket: UUID, session: Session) -> float | None:
        """Return the seconds until `resend` may be asked for; None where it has nothing to send."""
        return await self._signing_up.can_resend_in(ticket, session)

    async def preview(self, token: str, session: Session | None) -> ConfirmationPreview:
        """Say what a link would confirm; changes nothing. Its errors: `Confirmation.preview`."""
        return await self._confirming.preview(token, session)

    async def confirm(
        self, token: str, *, session: Session | None, password: str | None, user_agent: str
    ) -> NewSession:
        """Confirm by link and sign this browser in. More, and its errors: `Confirmation.confirm`."""
        return await self._confirming.confirm(token, session=session, password=password, user_agent=user_agent)

    async def confirm_by_code(
        self, code: str, *, session: Session | None, ticket: UUID | None, user_agent: str
    ) -> NewSession:
        """Confirm by a typed code and sign in. More, and its errors: `Confirmation.confirm_by_code`."""
        return await self._confirming.confirm_by_code(code, session=session, ticket=ticket, user_agent=user_agent)

    async def sign_in(self, email: str, password: str, *, session: Session | None, user_agent: str) -> NewSession:
        """Start a session of an account. More, and its errors: `Authentication.sign_in`."""
        return await self._signing_in.sign_in(email, password, session=session, user_agent=user_agent)

    async def ask_for_new_password(self, *, email: str, session: Session) -> UUID:
        """Promise a mail with a link to choose a new password. More, and its errors: `PasswordReset.ask`."""
        return await self._resetting.ask(email=email, session=session)

    async def preview_new_password(self, token: str) -> str:
        """Return the address whose password a link would change. Its errors: `PasswordReset.preview`."""
        return await self._resetting.preview(token)

    async def choose_new_password(
        self, token: str, *, password: str, session: Session | None, user_agent: str
    ) -> NewSession:
        """Change the password by link, and sign in here alone. More, and its errors: `PasswordReset.reset`."""
        return await self._resetting.reset(token, password=password, session=session, user_agent=user_agent)

    async def sign_out(self, session: Session) -> None:
        """End this session."""
        await self._sessions.end(session.id)

    async def grant_operator(self, email: str, granted: bool = True) -> AccountView:
        """Make an account an operator's, or no longer. Raises `InvalidAddress` and `UnknownAccount`."""
        key = Address.parse(email).key
        mine = update(Account).where(Account.email_key == key).values(is_operator=granted).returning(Account)
        async with self._database.begin() as work:
            account = (await work.session.scalars(mine)).one_or_none()
        if account is None:
            raise UnknownAccount
        return AccountView.of(account)

    async def clean_up(self, work: UnitOfWork) -> None:
        """Delete a bounded number of sessions and unconfirmed sign-ups that are over; the sweep calls this."""
        await self._sessions.purge(work)
        kept = max(KEPT, timedelta(hours=self._hours) + LONGEST_WAY)
        await sign_ups.purge(work, older_than=kept)
