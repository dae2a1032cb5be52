"""A Mailroom for the tests of an app: the real web application and tasks, on real servers (`mailroom[embedded]`).

In `tests/conftest.py`: ``pytest_plugins = ["mailroom.api.testing"]``. A test takes the fixture `mailroom`, a
`Mailroom` with an empty database. PostgreSQL and Valkey are started once for all tests; no mail is sent.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest
import redis
from quart.typing import TestAppProtocol, TestClientProtocol
from sqlalchemy import select
from sqlalchemy.orm import undefer

from mailroom.accounts.models import Account
from mailroom.api.services import AppServices
from mailroom.bootstrap.app_clean_ups import app_clean_ups
from mailroom.bootstrap.web import create_web
from mailroom.bootstrap.worker import create_worker, renderer
from mailroom.jobs.publisher import HAS_ROW
from mailroom.kit.ids import new_id
from mailroom.mail.kinds import MailRow
from mailroom.mail.models import Mail as StoredMail
from mailroom.mail.rendering.previews import of_bytes
from mailroom.ops.embedded.postgres import running_postgres
from mailroom.ops.embedded.valkey import running_valkey
from mailroom.ops.migrate import migrate
from mailroom.services import Services
from mailroom.settings import load
from mailroom.tasks.models import Task
from mailroom.tasks.states import TaskState
from mailroom.web.cookies import name_of
from mailroom.web.parts import part_of

NAMES = ("DATABASE_URL", "REDIS_URL", "SMTP_URL", "MAIL_FROM", "PUBLIC_URL", "SECRET_KEY")


class Mail(NamedTuple):
    """A mail, as its recipient would get it."""

    to: str
    kind: str
    subject: str
    text: str
    html: str


class Mailroom:
    """A Mailroom with your app, for one test."""

    def __init__(self, app: TestAppProtocol, services: Services) -> None:
        self._app = app
        self._services = services
        self._worker = create_worker(services.settings)
        self.services = AppServices(services)
        """What `services()` returns in requests and tasks."""

    def visitor(self) -> TestClientProtocol:
        """Return a browser that nobody has signed in with: `get`, `post`, … of Quart's test client."""
        return self._app.test_client()

    async def member(
        self, email: str = "alice@example.org", *, operator: bool = False, language: str | None = None
    ) -> TestClientProtocol:
        """Return a browser in which the account of this address is signed in; the account is made if needed."""
        browser, role = self._app.test_client(), "operator" if operator else None
        async with self._services.database.begin() as work:
            account = (await work.session.scalars(select(Account).where(Account.email == email))).one_or_none()
            if account is None:
                account = Account(
                    id=new_id(),
                    email=email,
                    email_key=email.lower(),
                    password_hash="",
                    role=role,
                    language=language,
                )
                account.is_operator = operator
                work.session.add(account)
                await work.session.flush()
            entered = await self._services.sessions.enter(work, account, None, "a browser of a test")
        browser.set_cookie("localhost", name_of(self._services.settings), entered.secret)
        return browser

    async def run_tasks(self) -> list[str]:
        """Run every task that waits, as a worker does, one after the other; return their states, by their ids."""
        ended = list[UUID]()
        while waiting := await self._waiting():
            for task in waiting:
                await asyncio.to_thread(self._run, task)
                ended.append(task.id)
        async with self._services.database.begin() as work:
            states = {row.id: row.state for row in await work.session.execute(select(Task.id, Task.state))}
        return [str(states[one]) for one in ended]

    async def _waiting(self) -> list[Task]:
        due = select(Task).where(Task.state == TaskState.QUEUED, Task.name.in_(self._worker.tasks))
        async with self._services.database.begin() as work:
            return list(await work.session.scalars(due.order_by(Task.id).options(undefer(Task.arguments))))

    def _run(self, task: Task) -> None:
        celery_task = self._worker.tasks[task.name]
        celery_task.apply(args=task.arguments or [], task_id=str(task.id), headers={HAS_ROW: True})

    async def mails(self) -> list[Mail]:
        """Return every mail that was put, the oldest first, rendered in its language."""
        async with self._services.database.begin() as work:
            rows = list(await work.session.scalars(select(StoredMail).order_by(StoredMail.id)))
        return [self._rendered(row) for row in rows]

    def _rendered(self, row: StoredMail) -> Mail:
        params, nonce = row.params or {}, row.nonce or b""
        made = MailRow(row.id, row.kind, row.recipient or "", params, nonce, row.created_at, row.language)
        data = renderer(self._services).render(made).data.removesuffix(b".\r\n")
        read = of_bytes(data)
        return Mail(row.recipient or "", row.kind, read.subject, read.text, read.html)

    async def clean_up(self) -> None:
        """Call the clean-ups of all apps, as the sweep does."""
        for clean_up in app_clean_ups(self._services):
            await clean_up()

    def close(self) -> None:
        """Stop the worker that runs tasks."""
        self._worker.Task.loop.close()
        self._worker.close()


@pytest.fixture(scope="session")
def mailroom_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start PostgreSQL, migrated for all apps, and Valkey for all tests; yield PostgreSQL's address."""
    folder = tmp_path_factory.mktemp("mailroom")
    with running_postgres(folder / "postgres") as postgres, running_valkey(folder / "valkey") as valkey:
        values = (
            postgres.url,
            valkey.url,
            "smtp://127.0.0.1:9?starttls=never",
            "Mailroom <hello@mailroom.example>",
            "http://localhost",
            "a-key-for-tests-only-but-long-enough-to-be-one",
        )
        environment = dict(zip(NAMES, values, strict=True))
        with _environment(environment):
            migrate()
            yield postgres.url


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@pytest.fixture
async def mailroom(mailroom_servers: str) -> AsyncIterator[Mailroom]:
    """A Mailroom with an empty database."""
    url, name = mailroom_servers, f"test_{os.getpid()}"
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")
        connection.execute(f"create database {name} template mailroom")
    settings = load(database_url=f"{url.rpartition('/')[0]}/{name}")
    with redis.Redis.from_url(settings.limits) as client:
        client.flushdb()  # drop the rate limits of the previous test
    async with create_web(settings).test_app() as app:
        made = Mailroom(app, part_of(app.app, Services))  # type: ignore[attr-defined]  # Quart's TestApp has it
        yield made
        await asyncio.to_thread(made.close)
