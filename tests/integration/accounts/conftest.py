"""The accounts room on a real PostgreSQL, with its real outbox and tickets; the cast have a browser each."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from mailroom.accounts.authentication import Authentication
from mailroom.accounts.changes.address_change import AddressChanges
from mailroom.accounts.changes.password_change import PasswordChange
from mailroom.accounts.changes.password_reset import PasswordReset
from mailroom.accounts.changes.takeover import Takeover
from mailroom.accounts.mail_limits import FormMailQueue
from mailroom.accounts.mails import kinds
from mailroom.accounts.operators import Operators
from mailroom.accounts.passwords.hashing import Passwords
from mailroom.accounts.profiles import Profiles
from mailroom.accounts.retention import AccountRetention
from mailroom.accounts.security.security_log import SecurityLog
from mailroom.accounts.session_endings import SessionEndings
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_up.confirmation import Confirmation
from mailroom.accounts.sign_up.invitations import Invitations
from mailroom.accounts.sign_up.registration import Registration
from mailroom.accounts.tokens import NEW_PASSWORD, Tokens
from mailroom.accounts.views import NewSession, SecondStepNeeded, Session
from mailroom.bootstrap.two_factor import create_two_factor
from mailroom.kit.database import Database
from mailroom.mail.kinds import Kinds
from mailroom.mail.models import Mail
from mailroom.mail.outbox import Outbox
from mailroom.settings import Settings
from mailroom.tasks.tickets import Tickets, Watcher

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
ALICE = "alice@example.org"
ALICES = "seven quiet lanterns over water"
MALLORYS = "crooked umbrella borrows thunder"


class Reception:
    """The room, wired as in production but for the nudge, which it notes."""

    def __init__(self, settings: Settings) -> None:
        self.nudged: list[UUID] = []
        self.database = Database(settings.database_url, connections=8, name="tests")
        self.tickets = Tickets()
        self.tokens = Tokens(settings.secret_keys)
        self.outbox = Outbox(Kinds(kinds(self.tokens, settings)), self.tickets, self._notify)
        self.sessions = Sessions(self.database)
        self.passwords = Passwords()
        self.queue = FormMailQueue(self.database, hourly=settings.form_mails_per_hour)
        self.log = SecurityLog(self.database, self.outbox)
        self.invitations = Invitations(self.outbox, self.tokens, days=settings.invitation_days)
        self.registration = Registration(
            self.database,
            self.outbox,
            self.tickets,
            self.passwords,
            self.sessions,
            queue=self.queue,
            site=["localhost"],
            rule=settings.registration_rule,
            invitations=self.invitations,
        )
        self.confirmation = Confirmation(
            self.database,
            self.tickets,
            self.tokens,
            self.passwords,
            self.sessions,
            log=self.log,
            invitations=self.invitations,
            hours=settings.confirmation_hours,
        )
        self.password_change = PasswordChange(
            self.database, self.passwords, self.sessions, self.log, site=["localhost"]
        )
        two_factor = create_two_factor(
            self.database,
            self.sessions,
            self.log,
            self.password_change,
            secret_keys=settings.secret_keys,
            public_url="http://localhost",
            name="localhost",
        )
        self.steps, self.recent, self.factors = two_factor.steps, two_factor.recent, two_factor.factors
        self.endings = SessionEndings(self.database, self.sessions, self.log)
        self.profiles = Profiles(self.database)
        self.authentication = self.authentication_with(self.passwords)
        self.password_reset = PasswordReset(
            self.database,
            self.outbox,
            self.tickets,
            tokens=self.tokens,
            passwords=self.passwords,
            sessions=self.sessions,
            steps=self.steps,
            queue=self.queue,
            log=self.log,
            site=["localhost"],
        )
        self.address_changes = AddressChanges(
            self.database, self.outbox, self.password_change, tokens=self.tokens, queue=self.queue, log=self.log
        )
        self.takeover = Takeover(
            self.database,
            self.password_reset,
            tokens=self.tokens,
            passwords=self.passwords,
            sessions=self.sessions,
            factors=self.factors,
            log=self.log,
        )
        self.operators = Operators()
        self.retention = AccountRetention(
            self.database, self.sessions, confirmation_hours=settings.confirmation_hours, days=7
        )

    def authentication_with(self, passwords: Passwords) -> Authentication:
        return Authentication(self.database, self.registration, passwords, self.steps)

    def _notify(self, mail_ids: Sequence[UUID]) -> None:
        self.nudged += mail_ids

    async def browser(self) -> Session:
        return (await self.sessions.start(FIREFOX)).session

    async def mail(self, ticket: UUID) -> Mail:
        async with self.database.begin() as work:
            mail = await self.outbox.find(work, ticket)
        assert mail
        return mail

    async def token(self, ticket: UUID) -> str:
        """What stands in the link of this mail, or would."""
        mail = await self.mail(ticket)
        assert mail.nonce
        return self.tokens.token(mail.id, mail.nonce)

    async def password_token(self, ticket: UUID) -> str:
        """What stands in the link to a new password, or would."""
        mail = await self.mail(ticket)
        assert mail.nonce
        return self.tokens.token(mail.id, mail.nonce, NEW_PASSWORD)

    async def code(self, ticket: UUID) -> str:
        mail = await self.mail(ticket)
        assert mail.nonce
        return self.tokens.code(mail.id, mail.nonce)

    async def may_watch(self, ticket: UUID, session: Session) -> bool:
        watcher = Watcher(session.id, session.account.id if session.account else None)
        async with self.database.begin() as work:
            return ticket in await self.tickets.watchable(work, [ticket], watcher)

    async def sent(self, ticket: UUID, *, hours_ago: float = 0) -> None:
        """Record the mail as the worker does."""
        await self.run(
            "update mails set state = 'sent', ended_at = now() - :ago where id = :id",
            ago=timedelta(hours=hours_ago),
            id=ticket,
        )

    async def wait(self, **past: float) -> None:
        """Let time go by: everything noted so far gets older."""
        for change in (
            "update sign_ups set mailed_at = mailed_at - :ago, created_at = created_at - :ago",
            "update sign_up_mails set created_at = created_at - :ago",
            "update password_mails set created_at = created_at - :ago",
            "update sessions set seen_at = seen_at - :ago, expires_at = expires_at - :ago",
            "update sessions set created_at = created_at - :ago",
        ):
            await self.run(change, ago=timedelta(**past))

    async def run(self, sql: str, **values: Any) -> None:
        async with self.database.begin() as work:
            await work.session.execute(text(sql), values)

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.database.begin() as work:
            return list((await work.session.execute(text(sql), values)).all())

    async def sign_up(self, session: Session, email: str = ALICE, password: str = ALICES) -> UUID:
        return await self.registration.sign_up(email=email, password=password, session=session)

    async def member(self, email: str = ALICE, password: str = ALICES) -> NewSession:
        """Somebody with a confirmed account, signed in; their sign-up was an hour ago and more."""
        session = await self.browser()
        ticket = await self.sign_up(session, email, password)
        started = await self.confirm(ticket, session)
        await self.wait(hours=2)
        return started

    async def confirm(self, ticket: UUID, session: Session | None, password: str | None = None) -> NewSession:
        token = await self.token(ticket)
        return await self.confirmation.confirm(token, session=session, password=password, user_agent=FIREFOX)

    async def type_code(self, code: str, session: Session | None, ticket: UUID | None = None) -> NewSession:
        return await self.confirmation.confirm_by_code(code, session=session, ticket=ticket, user_agent=FIREFOX)

    async def forget(self, email: str = ALICE, session: Session | None = None) -> UUID:
        return await self.password_reset.ask(email=email, session=session or await self.browser())

    async def choose(self, token: str, password: str, session: Session | None = None) -> NewSession:
        outcome = await self.password_reset.reset(token, password=password, session=session, user_agent=FIREFOX)
        assert isinstance(outcome, NewSession)
        return outcome

    async def sign_in(self, email: str, password: str, session: Session | None = None) -> NewSession:
        outcome = await self.authentication.sign_in(email, password, session=session, user_agent=FIREFOX)
        assert isinstance(outcome, NewSession)
        return outcome

    async def first_step(self, email: str, password: str, session: Session | None = None) -> NewSession:
        """Sign in where that takes two steps; the browser's session, which waits for the second."""
        outcome = await self.authentication.sign_in(email, password, session=session, user_agent=FIREFOX)
        assert isinstance(outcome, SecondStepNeeded)
        return outcome.started


@pytest.fixture
async def reception(settings: Settings) -> AsyncIterator[Reception]:
    reception = Reception(settings)
    yield reception
    reception.passwords.close()
    await reception.database.close()
