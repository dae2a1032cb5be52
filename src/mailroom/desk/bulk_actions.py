"""Acts on all mails of a search: counted, confirmed, and done by a background task in chunks.

Each chunk locks its mails in the order of their ids, changes those whose state allows it, and commits together
with its counts and the id it reached. So the counts are exact wherever the task is stopped, no mail is changed
twice, and a task that begins again continues where it stopped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, insert, select, update

from mailroom.desk.audit_log import Actor, AuditLog
from mailroom.desk.mail_search import conditions
from mailroom.desk.models import BulkActionRow
from mailroom.desk.search import MailSearch
from mailroom.desk.slices import FIRST_ID, Window
from mailroom.desk.time_limit import in_time
from mailroom.kit.database import Database, UnitOfWork
from mailroom.kit.ids import first_id
from mailroom.mail.administration import MailAdministration
from mailroom.mail.models import Mail
from mailroom.progress.reports import Cancelled
from mailroom.progress.sentence import Sentence
from mailroom.tasks.service import TaskService

NAME = "mailroom.change_mails"
"""Celery's name of the task."""
Action = Literal["retry", "cancel"]
CHUNK = 500
"""Mails in one transaction."""
COUNT_SECONDS = 5.0
"""Seconds that counting may take before a person confirms."""
COUNT_SECONDS_OF_TASK = 15.0
"""Seconds that the task may take to count. If they are not enough, its page shows no total."""

Progress = Callable[[int, int | None], None]
"""Gets the number of mails done and the total (None: unknown); it may raise `Cancelled`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What has become of the mails: changed, and left alone because their state forbids it."""

    changed: int
    left_alone: int

    @property
    def done(self) -> int:
        """Mails that were looked at."""
        return self.changed + self.left_alone


class BulkActions:
    """Starts acts on many mails, and does them in the worker."""

    def __init__(
        self,
        database: Database,
        task_service: TaskService,
        administration: MailAdministration,
        audit_log: AuditLog,
    ) -> None:
        self._database = database
        self._task_service = task_service
        self._administration = administration
        self._audit_log = audit_log

    async def count(self, search: MailSearch, until: datetime) -> int | None:
        """Return how many mails match a search, exactly; None if counting takes longer than `COUNT_SECONDS`."""
        window = _window(search.starts(until), min(search.before or until, until))
        return await self._count(search, window, COUNT_SECONDS)

    async def _count(self, search: MailSearch, window: Window, seconds: float) -> int | None:
        query = select(func.count()).select_from(Mail).where(*conditions(search, window))

        async def ask(work: UnitOfWork) -> int:
            return await work.session.scalar(query) or 0

        return await in_time(self._database, seconds, ask)

    async def start(
        self,
        work: UnitOfWork,
        action: Action,
        search: MailSearch,
        *,
        until: datetime,
        actor: Actor,
        owner_id: UUID | None = None,
    ) -> UUID:
        """Start an act on all mails of a search that were put before `until`; return the task's ticket."""
        title = Sentence(f"title.bulk_{action}", {"query": search.text})
        ticket = await self._task_service.start(work, NAME, title=title, owner_id=owner_id)
        row = {
            "id": ticket,
            "action": action,
            "query": search.text,
            "since": search.starts(until),
            "until": min(search.before or until, until),
        }
        await work.session.execute(insert(BulkActionRow).values(row))
        details = {"query": search.text}
        await self._audit_log.write(
            work, actor, f"mails.{action}", target="task", target_id=ticket, details=details
        )
        return ticket

    async def find(self, work: UnitOfWork, ticket: UUID) -> BulkActionRow | None:
        """Return the act of a task; None if the task has none."""
        return await work.session.get(BulkActionRow, ticket)

    async def run(self, ticket: UUID, progress: Progress) -> Counts:
        """Do the act of a task, from where it was stopped. Raises what `progress` raises, and `Unavailable`."""
        row, search = await self._begin(ticket)
        total, counts = row.total, Counts(row.changed, row.left_alone)
        ended = "cancelled"
        try:
            progress(counts.done, None if total is None else max(total, counts.done))
            while (next_counts := await self._chunk(ticket, search)) is not None:
                counts = next_counts
                progress(counts.done, None if total is None else max(total, counts.done))
            ended = "done"
        except Cancelled:
            raise
        except BaseException:
            ended = "failed"
            raise
        finally:
            await self._log_end(ticket, row.action, ended, counts)
        return counts

    async def _begin(self, ticket: UUID) -> tuple[BulkActionRow, MailSearch]:
        """Return the row, with the total if it can be counted, and its search."""
        async with self._database.begin() as work:
            row = await work.session.get_one(BulkActionRow, ticket)
        search = MailSearch.parse(row.query, row.until)
        if row.total is None:
            row.total = await self._count(search, _window(row.since, row.until), COUNT_SECONDS_OF_TASK)
            async with self._database.begin() as work:
                total = update(BulkActionRow).where(BulkActionRow.id == ticket).values(total=row.total)
                await work.session.execute(total)
        return row, search

    async def _chunk(self, ticket: UUID, search: MailSearch) -> Counts | None:
        """Change the next mails and return the counts so far; None if there are no more."""
        async with self._database.begin() as work:
            locked = select(BulkActionRow).where(BulkActionRow.id == ticket).with_for_update()
            row = (await work.session.scalars(locked)).one()
            window = _window(row.since, row.until)
            ids = (
                select(Mail.id)
                .where(*conditions(search, window), Mail.id > (row.reached or FIRST_ID))
                .order_by(Mail.id)
                .limit(CHUNK)
                .with_for_update()
            )
            found = list((await work.session.scalars(ids)).all())
            if not found:
                return None
            change: Any = (
                self._administration.retry_many if row.action == "retry" else self._administration.cancel_many
            )
            changed = await change(work, found)
            values = {
                "reached": found[-1],
                "changed": BulkActionRow.changed + changed,
                "left_alone": BulkActionRow.left_alone + len(found) - changed,
            }
            await work.session.execute(
                update(BulkActionRow)
                .where(BulkActionRow.id == ticket)
                .values(values)
                .execution_options(synchronize_session=False)
            )
            return Counts(row.changed + changed, row.left_alone + len(found) - changed)

    async def _log_end(self, ticket: UUID, action: str, ended: str, counts: Counts) -> None:
        details = {"ended": ended, "changed": counts.changed, "left_alone": counts.left_alone}
        async with self._database.begin() as work:
            await self._audit_log.write(
                work,
                Actor("mailroom", "Mailroom"),
                f"mails.{action}_ended",
                target="task",
                target_id=ticket,
                details=details,
            )


def _window(since: datetime | None, until: datetime) -> Window:
    return Window(first_id(since) if since else FIRST_ID, first_id(until), since, until)
