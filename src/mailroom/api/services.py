"""What an app can do while it runs."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from mailroom.accounts.models import Account as AccountRow
from mailroom.accounts.views import AccountView, reader_of
from mailroom.kit.database import UnitOfWork
from mailroom.progress.sentence import Sentence
from mailroom.services import Services, current_services
from mailroom.settings.app_settings import AppSettings
from mailroom.tasks.service import Part

Kind = TypeVar("Kind", bound=AppSettings)


def services() -> "AppServices":
    """Return what an app can do, in a request, task, clean-up or command. Raises LookupError elsewhere."""
    return AppServices(current_services())


class AppServices:
    """Units of work, mails, tasks, accounts and settings, for an app."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def public_url(self) -> str:
        """The address under which people reach this Mailroom, without a slash at the end."""
        return self._services.settings.public_url

    def settings(self, kind: type[Kind]) -> Kind:
        """Return the app's settings. Raises LookupError if no app declares that class."""
        for app in self._services.apps:
            if isinstance(app.settings, kind):
                return app.settings
        raise LookupError(f"no app declares settings={kind.__name__}")

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a unit of work: one transaction, committed at the end of the block, rolled back when it raises.

        `work.session` is SQLAlchemy's asynchronous session; `work.after_commit(call)` calls `call` once
        the block is committed. Raises `Unavailable` (an error with a page of its own) if PostgreSQL is away.
        """
        return self._services.database.begin()

    async def account(self, work: UnitOfWork, account_id: UUID | str) -> AccountView | None:
        """Return an account; None if there is none, or if it is to be deleted."""
        row = await work.session.get(AccountRow, UUID(str(account_id)))
        return AccountView.of(row) if row and row.deletes_at is None else None

    async def send_mail(
        self,
        work: UnitOfWork,
        kind: str,
        to: AccountView | str,
        params: dict[str, Any] | None = None,
        *,
        session_id: UUID | None = None,
        delay: timedelta = timedelta(0),
        language: str | None = None,
    ) -> UUID:
        """Have a mail sent once `work` is committed; return its ticket. Watchers see it at `/mails/<ticket>`.

        `to` is an address, or an account, which may watch the mail and gets it in its language. `params` are JSON
        and are stored, so they must hold nothing secret; the templates and the kind's `variables` get them. The
        browser session given may watch the mail, too. With a `delay` the mail is sent later. Raises `LookupError`
        if there is no such kind, `ValueError` if a parameter is called `time_zone` or `withheld`: Mailroom sets
        these itself.
        """
        account = None if isinstance(to, str) else to
        reader = reader_of(await work.session.get(AccountRow, account.id) if account else None)
        return await self._services.outbox.put(
            work,
            kind,
            account.email if account else str(to),
            params,
            session_id=session_id,
            owner_id=account.id if account else None,
            delay=delay,
            reader=reader._replace(language=language or reader.language),
        )

    async def start_task(
        self,
        work: UnitOfWork,
        name: str,
        *arguments: Any,
        title: str | Sentence,
        owner: AccountView | None = None,
        session_id: UUID | None = None,
    ) -> UUID:
        """Have a task of an app run once `work` is committed; return its ticket: its page is `/tasks/<ticket>`.

        `arguments` are JSON, at most some KB, and hold nothing secret. Watchers read `title`: a text is
        shown as it is, a `Sentence` in their language. The task's owner and the browser session given may watch
        it. Raises LookupError if no app has such a task.
        """
        self._check(name)
        return await self._services.task_service.start(
            work, name, *arguments, title=title, owner_id=owner.id if owner else None, session_id=session_id
        )

    async def start_group(
        self, work: UnitOfWork, parts: Sequence[Part], *, title: str | Sentence, owner: AccountView | None = None
    ) -> UUID:
        """Have several tasks run at once under one ticket, which counts the tasks that have ended.

        Each part is a name and a list of arguments. Raises LookupError, and ValueError without parts.
        """
        for name, _ in parts:
            self._check(name)
        owner_id = owner.id if owner else None
        return await self._services.task_service.start_group(work, parts, title=title, owner_id=owner_id)

    def _check(self, name: str) -> None:
        if name not in self._services.apps.task_kinds:
            raise LookupError(f"no app has a task {name!r}: App(…, tasks=[TaskKind(name={name!r}, …)])")
