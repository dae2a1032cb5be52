"""Services in memory, by the contract of the real ones: for the looks and manners of pages, not for what
accounts and mail do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from mailroom.accounts import errors
from mailroom.accounts.views import AccountView, ConfirmationPreview, NewSession, Session
from mailroom.apps.installed import Apps
from mailroom.kit import clock
from mailroom.kit.errors import Unavailable
from mailroom.kit.ids import new_id
from mailroom.mail.models import Attempt, Mail
from mailroom.progress.snapshot import Snapshot
from mailroom.progress.subscription import Subscription
from mailroom.settings import Settings
from mailroom.tasks.models import Task
from mailroom.tasks.tickets import Watcher

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PASSWORD = "otter lamp quiet ferry"
TOKEN = "right-token"
CODE = "ABCD2345"
TOKENS: dict[str, Exception] = {
    "wrong": errors.WrongToken(),
    "used": errors.UsedToken(new_id()),
    "expired": errors.ExpiredToken(),
    "replaced": errors.ReplacedToken(),
}
PASSWORD_TOKENS: dict[str, Exception] = {
    "wrong": errors.WrongPasswordLink(),
    "used": errors.UsedPasswordLink(),
    "expired": errors.OldPasswordLink(),
}


def settings(**changes: Any) -> Settings:
    """Settings for an application nobody can reach; Redis is where no Redis listens."""
    return Settings(
        _env_file=None,
        **{
            "database_url": "postgresql://nobody@127.0.0.1:1/none",
            "redis_url": "redis://127.0.0.1:1/0",
            "smtp_url": "smtp://127.0.0.1:1",
            "mail_from": "Mailroom <hello@example.org>",
            "public_url": "http://localhost",
            "secret_key": "k" * 40,
            "sign_up_seconds": 0,
            **changes,
        },
    )


@dataclass
class World:
    """What there is: sessions by secret, tasks, mails and where they are."""

    sessions: dict[str, Session] = field(default_factory=dict)
    tasks: dict[UUID, Task] = field(default_factory=dict)
    mails: dict[UUID, Mail] = field(default_factory=dict)
    snapshots: dict[UUID, Snapshot] = field(default_factory=dict)
    sign_ups: set[UUID] = field(default_factory=set)
    resend_in: float = 0.0
    needs_password: bool = False
    raises: Exception | None = None
    database_away: bool = False
    looked_up: int = 0
    languages: dict[UUID, str] = field(default_factory=dict)

    def start(self, email: str | None = None, *, operator: bool = False, agent: str = "") -> NewSession:
        account = AccountView(new_id(), email, "operator" if operator else None, NOON) if email else None
        session = Session(new_id(), account, NOON, agent, NOON)
        secret = f"secret-{len(self.sessions)}-{'x' * 20}"
        self.sessions[secret] = session
        return NewSession(session, secret, clock.now() + timedelta(days=30))

    def put_mail(
        self, session: Session, to: str = "alice@example.org", state: str = "queued", **more: Any
    ) -> UUID:
        ticket, account, kind = new_id(), session.account, more.pop("kind", "confirm_sign_up")
        self.tasks[ticket] = Task(
            id=ticket,
            title="title.sign_up_mail",
            title_params={},
            session_id=session.id,
            owner_id=account.id if account else None,
            follow_up=more.pop("follow_up", None),
            created_at=NOON,
        )
        self.mails[ticket] = Mail(
            id=ticket,
            kind=kind,
            recipient=to,
            state=state,
            on_uncertain="resend",
            attempt=1,
            step=1,
            created_at=NOON,
        )
        more.setdefault("timeline", ({"stage": "queued", "at": "2026-11-24T12:00:00.000+00:00", "attempt": 0},))
        self.snapshots[ticket] = Snapshot(ticket, state, **more)
        if kind == "confirm_sign_up":
            self.sign_ups.add(ticket)
        return ticket


class FakeDatabase:
    def __init__(self, world: World) -> None:
        self.world = world

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        if self.world.database_away:
            raise Unavailable
        yield SimpleNamespace(session=self)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        if self.world.database_away:
            raise Unavailable

        async def none() -> None:
            """No row."""

        async def execute(_statement: Any) -> Any:
            return SimpleNamespace(fetchone=none)

        yield SimpleNamespace(execute=execute)

    async def execute(self, statement: Any) -> Any:
        mails: list[Any] = [(mail, None) for mail in self.world.mails.values()]
        if getattr(statement, "column_descriptions", [{"entity": None}])[0]["entity"] is Task:
            mails = [(self.world.tasks[mail.id], mail.recipient) for mail in self.world.mails.values()]
        return SimpleNamespace(all=lambda: mails)

    async def scalars(self, statement: Any) -> Any:
        entity = statement.column_descriptions[0]["entity"]
        rows = [] if entity is Attempt else list(self.world.mails.values())
        return SimpleNamespace(all=lambda: rows, __iter__=lambda: iter(rows)) if entity is Mail else rows


class FakeDelays:
    async def take(self, _email: str, _client: str) -> None:
        """Nobody waits."""

    async def clear(self, _email: str, _client: str) -> None:
        """There is nothing to forget."""


class FakeSessions:
    def __init__(self, world: World) -> None:
        self.world = world
        self.on_change: list[Any] = []

    async def find(self, secret: str, _address: str | None = None) -> Session | None:
        if self.world.database_away:
            raise Unavailable
        self.world.looked_up += 1
        return self.world.sessions.get(secret)

    async def start(self, user_agent: str) -> NewSession:
        return self.world.start(agent=user_agent)

    def new(self, user_agent: str) -> NewSession:
        return self.world.start(agent=user_agent)

    async def end(self, session_id: UUID) -> None:
        self.world.sessions = {key: one for key, one in self.world.sessions.items() if one.id != session_id}

    async def of_account(self, account_id: UUID) -> list[Session]:
        return [one for one in self.world.sessions.values() if one.account and one.account.id == account_id]

    async def revoke(self, account_id: UUID, session_id: UUID) -> None:
        self.world.sessions = {
            secret: one
            for secret, one in self.world.sessions.items()
            if one.id != session_id or not one.account or one.account.id != account_id
        }


class FakeEndings:
    def __init__(self, world: World) -> None:
        self.sessions = FakeSessions(world)

    async def end(self, session: Session, ended: UUID, _origin: Any) -> None:
        assert session.account
        await self.sessions.revoke(session.account.id, ended)


class FakeRoom:
    """A room that can be told to fail."""

    def __init__(self, world: World) -> None:
        self.world = world

    def _fail(self) -> None:
        if self.world.raises:
            raise self.world.raises


class FakeRegistration(FakeRoom):
    async def sign_up(
        self, *, email: str, password: str, session: Session | NewSession, invitation: str | None = None
    ) -> UUID:
        self._fail()
        if "@" not in email:
            raise errors.InvalidAddress("There is no @ in it.")
        if len(password) < 15:
            raise errors.WeakPassword("That is shorter than 15 characters.")
        return self.world.put_mail(session.session if isinstance(session, NewSession) else session, email)

    async def refusals(self, *, email: str | None, password: str | None) -> list[Exception]:
        found: list[Exception] = []
        if email is not None and "@" not in email:
            found.append(errors.InvalidAddress("There is no @ in it."))
        if password is not None and len(password) < 15:
            found.append(errors.WeakPassword("That is shorter than 15 characters."))
        return found

    async def resend(self, *, ticket: UUID, session: Session) -> UUID:
        self._fail()
        if ticket not in self.world.sign_ups or self.world.tasks[ticket].session_id != session.id:
            raise errors.UnknownSignUp
        if self.world.resend_in:
            raise errors.TooSoon(self.world.resend_in)
        return self.world.put_mail(session)

    async def can_resend_in(self, ticket: UUID, session: Session) -> float | None:
        mine = self.world.tasks[ticket].session_id == session.id
        return self.world.resend_in if ticket in self.world.sign_ups and mine else None


class FakeConfirmation(FakeRoom):
    async def preview(self, token: str, session: Session | None) -> ConfirmationPreview:
        self._fail()
        if token != TOKEN:
            raise TOKENS.get(token, errors.WrongToken())
        return ConfirmationPreview("alice@example.org", self.world.needs_password)

    async def confirm(
        self, token: str, *, session: Session | None, password: str | None, user_agent: str
    ) -> NewSession:
        await self.preview(token, session)
        if self.world.needs_password and password != PASSWORD:
            raise errors.WrongPassword
        return self.world.start("alice@example.org", agent=user_agent)

    async def confirm_by_code(
        self, code: str, *, session: Session | None, ticket: UUID | None, user_agent: str
    ) -> NewSession:
        self._fail()
        if session is None:
            raise errors.UnknownSignUp
        if code.replace("-", "").upper() != CODE:
            raise errors.WrongCode(4)
        return self.world.start("alice@example.org", agent=user_agent)


class FakeAuthentication(FakeRoom):
    async def sign_in(
        self,
        email: str,
        password: str,
        *,
        session: Session | None,
        user_agent: str,
        address: str | None = None,
        kept: bool = True,
    ) -> NewSession:
        self._fail()
        if password != PASSWORD:
            raise errors.WrongCredentials
        started = self.world.start(email, agent=user_agent)
        return replace(started, session=replace(started.session, kept=kept))


class FakePasswordReset(FakeRoom):
    async def ask(self, *, email: str, session: Session) -> UUID:
        self._fail()
        if "@" not in email:
            raise errors.InvalidAddress("There is no @ in it.")
        return self.world.put_mail(session, email, kind="new_password")

    async def preview(self, token: str) -> str:
        if token != TOKEN:
            raise PASSWORD_TOKENS.get(token, errors.WrongPasswordLink())
        return "alice@example.org"

    async def reset(
        self,
        token: str,
        *,
        password: str,
        session: Session | None,
        user_agent: str,
        address: str | None = None,
    ) -> NewSession:
        email = await self.preview(token)
        if len(password) < 15:
            raise errors.WeakPassword("That is shorter than 15 characters.")
        return self.world.start(email, agent=user_agent)


class FakeTickets:
    def __init__(self, world: World) -> None:
        self.world = world

    async def watchable(self, _work: Any, ids: list[UUID], watcher: Watcher) -> dict[UUID, Task]:
        found = [self.world.tasks[one] for one in ids if one in self.world.tasks]
        return {
            task.id: task
            for task in found
            if watcher.operator
            or (watcher.session_id and task.session_id == watcher.session_id)
            or (watcher.account_id and task.owner_id == watcher.account_id)
        }


class FakeOutbox:
    def __init__(self, world: World) -> None:
        self.world = world

    async def find(self, _work: Any, mail_id: UUID) -> Mail | None:
        return self.world.mails.get(mail_id)


class FakeProfiles:
    def __init__(self, world: World) -> None:
        self.world = world

    async def choose_language(self, session: Session, language: str) -> None:
        assert session.account
        self.world.languages[session.account.id] = language


class FakeWatching:
    def __init__(self, world: World) -> None:
        self.world = world

    def subscribe(self) -> Subscription:
        """What a socket is told of: nothing but what it is told anyway."""
        return Subscription(self)  # type: ignore[arg-type]

    def remove(self, _subscription: Subscription, _task: UUID) -> None:
        """Nothing is really watched."""

    async def snapshot(self, task: UUID) -> Snapshot | None:
        return self.world.snapshots.get(task)


def services(world: World, **changes: Any) -> Any:
    """Return services over `world`; `changes` are settings."""
    return SimpleNamespace(
        settings=settings(**changes),
        database=FakeDatabase(world),
        sessions=FakeSessions(world),
        session_endings=FakeEndings(world),
        registration=FakeRegistration(world),
        confirmation=FakeConfirmation(world),
        authentication=FakeAuthentication(world),
        password_reset=FakePasswordReset(world),
        sign_in_delays=FakeDelays(),
        outbox=FakeOutbox(world),
        tickets=FakeTickets(world),
        tracker=FakeWatching(world),
        apps=Apps(),
        profiles=FakeProfiles(world),
    )


def put_in_inbox(folder: Path, *, html: str, subject: str = "Please confirm your address") -> str:
    """Store one message of both kinds of body; return its id."""
    from email.message import EmailMessage

    from mailroom.ops.embedded.inbox_store import InboxStore

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "hello@example.org", "alice@example.org", subject
    message.set_content("Hello, open http://localhost/confirm/right-token please.")
    message.add_alternative(html, subtype="html")
    return InboxStore(folder).put(bytes(message), "hello@example.org", ["alice@example.org"])
