"""Exports of people's data: a background task makes them, and they are kept for a day, for the owner alone."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, delete, func, insert, or_, select
from sqlalchemy.orm import undefer

from mailroom.accounts.errors import ExportGone, UnknownAccount
from mailroom.accounts.exports.files import ExportFiles
from mailroom.accounts.models import (
    Account,
    AccountEvent,
    AccountIdentity,
    AddressChange,
    BrowserSession,
    Export,
    Invitation,
)
from mailroom.accounts.security.security_log import EventKind, SecurityLog
from mailroom.accounts.two_factor.models import Passkey, RecoveryCode, TotpSecret
from mailroom.accounts.views import Origin, reader_of
from mailroom.i18n import languages
from mailroom.i18n.formats import in_time_zone
from mailroom.kit import clock
from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.models import Mail
from mailroom.mail.states import Reason
from mailroom.progress.sentence import Sentence
from mailroom.tasks.models import Task
from mailroom.tasks.service import TaskService
from mailroom.tasks.states import ENDED

NAME = "mailroom.export_account"
TITLE = Sentence("title.export")
KEPT = timedelta(hours=24)
AT_ONCE = 500
"""Rows read at a time: the worker's event loop has other work, too."""
AT_ONCE_GONE = 100

Query = Select[*tuple[Any, ...]]
Progress = Callable[[int, int, str], None]
"""Called with the number of rows written so far, the number of all rows, and what is written."""

ACCOUNT = (
    "id",
    "email",
    "role",
    "is_operator",
    "name",
    "language",
    "browser_language",
    "time_zone",
    "notices",
    "two_step_at",
    "created_at",
    "confirmed_at",
    "locked_at",
    "deletes_at",
)
SESSIONS = (
    "id",
    "browser",
    "address",
    "kept",
    "created_at",
    "verified_at",
    "passkey_verified_at",
    "seen_at",
    "expires_at",
)
EVENTS = ("id", "kind", "device", "address", "created_at")
CHANGES = ("id", "old_email", "new_email", "created_at", "confirmed_at", "ended_at")
IDENTITIES = ("id", "issuer", "subject", "email", "created_at", "used_at")
INVITATIONS = ("id", "email", "bound", "created_at", "expires_at", "used_at", "revoked_at")
"""Columns of the invitations that the account sent, and of the one that it came from."""
APPS = ("id", "created_at", "proven_at")
PASSKEYS = ("id", "name", "transports", "is_synced", "created_at", "used_at")
CODES = ("id", "created_at", "proven_at", "used_at")
"""Never a secret, a key or a code: they open the account."""
MAILS = (
    "id",
    "title",
    "to",
    "state",
    "attempts",
    "reason",
    "code",
    "enhanced",
    "answer",
    "created_at",
    "ended_at",
)
TASKS = ("id", "title", "state", "message", "error", "created_at", "began_at", "ended_at")


@dataclass(frozen=True, slots=True)
class AppTable:
    """A table of an app: its name in the export, its columns, and what yields an account's rows."""

    name: str
    columns: Sequence[str]
    rows: Callable[[UUID], "Rows"]


Rows = AsyncGenerator[Mapping[str, Any], None]


TextOf = Callable[[str, Mapping[str, Any] | None], str]
"""Returns what a text and its column of parameters say, in words (`i18n/sentences.py`)."""


class Exports:
    """Begins, makes, hands out and deletes exports."""

    def __init__(self, database: Database, task_service: TaskService, text_of: TextOf, log: SecurityLog) -> None:
        self._database = database
        self._log = log
        self._text_of = text_of
        self._task_service = task_service

    async def start(self, account_id: UUID, origin: Origin) -> UUID:
        """Begin an export and tell the owner, or find the one under way; return its ticket.

        Raises `UnknownAccount`.
        """
        async with self._database.begin() as work:
            # The account's row serves as the lock: two clicks at once begin only one export.
            mine = select(Account).where(Account.id == account_id).with_for_update()
            account = await work.session.scalar(mine)
            if account is None:
                raise UnknownAccount
            under_way = select(Task.id).where(
                Task.owner_id == account_id, Task.name == NAME, Task.state.not_in(ENDED)
            )
            if found := await work.session.scalar(under_way.limit(1)):
                return found
            await self._log.notify(work, account, EventKind.EXPORTED, origin)
            return await self._task_service.start(work, NAME, str(account_id), title=TITLE, owner_id=account_id)

    async def make(
        self, ticket: UUID, account_id: UUID, progress: Progress, *, app_tables: Sequence[AppTable] = ()
    ) -> int:
        """Write the export of an account and keep it in place of earlier ones; return its size in bytes.

        Its words are in the language of the account. Raises `UnknownAccount`, `Unavailable`.
        """
        async with self._database.begin() as work:
            account = await work.session.get(Account, account_id)
            if account is None:
                raise UnknownAccount
            reader = reader_of(account)
        with languages.speaking(reader.language or languages.DEFAULT), in_time_zone(reader.time_zone):
            files = await self._write(account_id, progress, app_tables)
            content = await asyncio.to_thread(files.zip)
        async with self._database.begin() as work:
            await work.session.execute(delete(Export).where(Export.account_id == account_id))
            expires = func.now() + KEPT
            await work.session.execute(
                insert(Export).values(id=ticket, account_id=account_id, content=content, expires_at=expires)
            )
        return len(content)

    async def _write(self, account_id: UUID, progress: Progress, app_tables: Sequence[AppTable]) -> ExportFiles:
        files = ExportFiles(clock.now())
        tables = tables_of(account_id)
        async with self._database.begin() as work:
            counts = [await _count(work, query) for _, _, query, _ in tables]
        written, total = 0, sum(counts)
        progress(0, total, "account")
        for name, columns, query, key in tables:
            files.add(name, columns, [])
            last: UUID | None = None
            while rows := await self._page(query, key, last):
                await asyncio.to_thread(files.add, name, columns, rows)
                last, written = rows[-1]["id"], written + len(rows)
                progress(written, max(total, written), name)
        for table in app_tables:
            files.add(table.name, table.columns, [])
            try:
                async with aclosing(_in_parts(table.rows(account_id))) as parts:
                    async for part in parts:
                        await asyncio.to_thread(files.add, table.name, table.columns, part)
                        written += len(part)
                        progress(written, max(total, written), "apps")
            except Exception as error:
                error.add_note(f"It was the table {table.name} of an app.")
                raise
        return files

    async def _page(self, query: Query, key: Any, after: UUID | None) -> Sequence[dict[str, Any]]:
        later: ColumnElement[bool] | None = key > after if after else None
        page = query.where(later) if later is not None else query
        async with self._database.begin() as work:
            rows = await work.session.execute(page.order_by(key).limit(AT_ONCE))
            return [self._in_words(dict(row)) for row in rows.mappings()]

    def _in_words(self, row: dict[str, Any]) -> dict[str, Any]:
        for name in ("title", "message", "error"):
            if row.get(name) is not None and (params := row.pop(f"{name}_params", None)) is not None:
                row[name] = self._text_of(row[name], params)
        return row

    async def expires_at(self, work: UnitOfWork, ticket: UUID) -> Any:
        """Return until when an export is kept, or None if it is gone."""
        return await work.session.scalar(
            select(Export.expires_at).where(Export.id == ticket, Export.expires_at > func.now())
        )

    async def content(self, ticket: UUID, account_id: UUID) -> bytes | None:
        """Return the file of the export with this ticket, or None if this account has none with it.

        Raises `ExportGone` if it has been deleted or replaced.
        """
        kept = select(Export).where(Export.id == ticket, Export.account_id == account_id)
        own = select(Task.id).where(Task.id == ticket, Task.owner_id == account_id, Task.name == NAME)
        async with self._database.begin() as work:
            found = await work.session.scalar(
                kept.where(Export.expires_at > func.now()).options(undefer(Export.content))
            )
            if found is not None:
                return found.content
            if await work.session.scalar(own):
                raise ExportGone
        return None

    async def clean_up(self) -> None:
        """Delete a bounded number of exports that are over; the sweep calls this."""
        async with self._database.begin() as work:
            old = select(Export.id).where(Export.expires_at <= func.now()).limit(AT_ONCE_GONE)
            await work.session.execute(delete(Export).where(Export.id.in_(old)))


def tables_of(account_id: UUID) -> Sequence[tuple[str, Sequence[str], Query, Any]]:
    """Return each table of an export: its name, its columns, what they are read by, and the key to page by."""
    return (
        ("account", ACCOUNT, _account(account_id), Account.id),
        ("sessions", SESSIONS, _sessions(account_id), BrowserSession.id),
        ("security_history", EVENTS, _events(account_id), AccountEvent.id),
        ("address_changes", CHANGES, _changes(account_id), AddressChange.mail_id),
        ("authenticator_apps", APPS, _columns(TotpSecret, APPS, account_id), TotpSecret.id),
        ("passkeys", PASSKEYS, _columns(Passkey, PASSKEYS, account_id), Passkey.id),
        ("recovery_codes", CODES, _columns(RecoveryCode, CODES, account_id), RecoveryCode.id),
        ("identities", IDENTITIES, _identities(account_id), AccountIdentity.id),
        ("invitations", INVITATIONS, _invitations(account_id), Invitation.id),
        ("mails", MAILS, _mails(account_id), Mail.id),
        ("tasks", TASKS, _tasks(account_id), Task.id),
    )


def _account(account_id: UUID) -> Query:
    return select(*(getattr(Account, name) for name in ACCOUNT)).where(Account.id == account_id)


def _columns(table: type[TotpSecret | Passkey | RecoveryCode], names: Sequence[str], account_id: UUID) -> Query:
    return select(*(getattr(table, name) for name in names)).where(table.account_id == account_id)


def _sessions(account_id: UUID) -> Query:
    return select(
        BrowserSession.id, BrowserSession.user_agent.label("browser"), BrowserSession.address,
        BrowserSession.kept, BrowserSession.created_at, BrowserSession.verified_at,
        BrowserSession.passkey_verified_at, BrowserSession.seen_at,
        BrowserSession.expires_at,
    ).where(BrowserSession.account_id == account_id)  # fmt: skip


def _events(account_id: UUID) -> Query:
    return select(
        AccountEvent.id, AccountEvent.kind, AccountEvent.device, AccountEvent.address, AccountEvent.created_at
    ).where(AccountEvent.account_id == account_id)


def _changes(account_id: UUID) -> Query:
    return select(
        AddressChange.mail_id.label("id"), AddressChange.old_email, AddressChange.new_email,
        AddressChange.created_at, AddressChange.confirmed_at, AddressChange.ended_at,
    ).where(AddressChange.account_id == account_id)  # fmt: skip


def _identities(account_id: UUID) -> Query:
    mine = AccountIdentity.account_id == account_id
    return select(*(getattr(AccountIdentity, name) for name in IDENTITIES)).where(mine)


def _invitations(account_id: UUID) -> Query:
    mine = or_(Invitation.inviter_id == account_id, Invitation.account_id == account_id)
    return select(*(getattr(Invitation, name) for name in INVITATIONS)).where(mine)


def _answer() -> ColumnElement[str | None]:
    """Return the server's text. It is none if a mail could not be rendered: the column is for operators then."""
    return case((Mail.reason == Reason.BROKEN, None), else_=Mail.answer)


def _mails(account_id: UUID) -> Query:
    return (
        select(
            Mail.id, Task.title, Task.title_params, Mail.recipient.label("to"), Mail.state,
            Mail.attempt.label("attempts"),
            Mail.reason, Mail.code, Mail.enhanced, _answer().label("answer"), Mail.created_at, Mail.ended_at,
        )
        .join(Task, Task.id == Mail.id)
        .where(Task.owner_id == account_id)
    )  # fmt: skip


def _tasks(account_id: UUID) -> Query:
    return select(
        Task.id,
        Task.title,
        Task.title_params,
        Task.state,
        Task.message,
        Task.message_params,
        Task.error,
        Task.error_params,
        Task.created_at,
        Task.began_at,
        Task.ended_at,
    ).where(Task.owner_id == account_id, Task.name.is_not(None))


async def _in_parts(rows: Rows) -> AsyncGenerator[Sequence[Mapping[str, Any]], None]:
    """Yield the rows of an app, some at a time."""
    part = list[Mapping[str, Any]]()
    async with aclosing(rows):
        async for row in rows:
            part.append(row)
            if len(part) == AT_ONCE:
                yield part
                part = []
    if part:
        yield part


async def _count(work: UnitOfWork, query: Query) -> int:
    return int(await work.session.scalar(select(func.count()).select_from(query.subquery())) or 0)
