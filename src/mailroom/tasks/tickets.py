"""Tickets: who may watch which task."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import ColumnElement, or_, select, update

from mailroom.kit.database import PlainWork, UnitOfWork
from mailroom.progress.sentence import Sentence, to_columns
from mailroom.tasks.models import Task


@dataclass(frozen=True, slots=True)
class Watcher:
    """The one who asks: a browser session, the account signed in there, and whether it operates Mailroom."""

    session_id: UUID | None = None
    account_id: UUID | None = None
    operator: bool = False


@dataclass(frozen=True, slots=True)
class TicketOwner:
    """To whom a ticket belongs: a browser session, an account, or both."""

    session_id: UUID | None
    owner_id: UUID | None
    is_mail: bool = True
    """False for a background task."""

    def admits(self, watcher: Watcher) -> bool:
        """Tell whether this watcher may watch it; the same rule as `Tickets.watchable`."""
        mine = self.session_id is not None and self.session_id == watcher.session_id
        owned = self.owner_id is not None and self.owner_id == watcher.account_id
        return watcher.operator or mine or owned


# Runs for all watched tickets every few seconds: plain psycopg costs a fifth of SQLAlchemy's engine.
OWNERS = "select id, session_id, owner_id, name is null from tasks where id = any(%s)"

OPEN = """
insert into tasks (id, title, title_params, session_id, owner_id)
values (%(id)s, %(title)s, %(title_params)s, %(session_id)s, %(owner_id)s)
"""

DROP_WATCHERS = """
update tasks set session_id = case when session_id = %(but)s then session_id end,
    afterword = case when session_id = %(but)s then %(afterword)s else afterword end
where id = any(%(ids)s)
"""


class Tickets:
    """The table of tasks that may be watched."""

    async def open(
        self,
        work: PlainWork,
        task_id: UUID,
        title: str | Sentence,
        *,
        session_id: UUID | None,
        owner_id: UUID | None,
    ) -> None:
        """Write the ticket of a task that is about to begin, for this browser session and this owner."""
        text, params = to_columns(title)
        ticket = {
            "id": task_id,
            "title": text,
            "title_params": None if params is None else Jsonb(params),
            "session_id": session_id,
            "owner_id": owner_id,
        }
        await work.write(OPEN, ticket)

    async def drop_watchers(self, work: PlainWork, ids: Sequence[UUID], *, but: UUID, follow_up: str) -> None:
        """Let only the browser session `but` and the owners watch these; `but` is shown the `follow_up`."""
        if ids:
            await work.write(DROP_WATCHERS, {"ids": ids, "but": but, "afterword": follow_up})

    async def move_to(self, work: UnitOfWork, ids: Sequence[UUID], session_id: UUID) -> None:
        """Let this browser session watch these tasks in place of the previous one."""
        await work.session.execute(update(Task).where(Task.id.in_(ids)).values(session_id=session_id))

    async def give_to(
        self, work: UnitOfWork, ids: Sequence[UUID], owner_id: UUID, follow_up: str | None = None
    ) -> None:
        """Make the account their owner, and show the `follow_up` to those who still watch."""
        await work.session.execute(
            update(Task).where(Task.id.in_(ids)).values(owner_id=owner_id, follow_up=follow_up)
        )

    async def traceback(self, work: UnitOfWork, task_id: UUID) -> str | None:
        """Return the traceback of a failed task, which is for operators only."""
        return await work.session.scalar(select(Task.traceback).where(Task.id == task_id))

    async def watchable(self, work: UnitOfWork, ids: Iterable[UUID], watcher: Watcher) -> dict[UUID, Task]:
        """Return the tasks that this watcher may watch; unknown ids and other people's are both left out."""
        rows = select(Task).where(Task.id.in_(list(ids)))
        if not watcher.operator:
            mine: list[ColumnElement[bool]] = []
            if watcher.session_id:
                mine.append(Task.session_id == watcher.session_id)
            if watcher.account_id:
                mine.append(Task.owner_id == watcher.account_id)
            if not mine:
                return {}
            rows = rows.where(or_(*mine))
        return {task.id: task for task in (await work.session.scalars(rows)).all()}

    async def owners(
        self, connection: "psycopg.AsyncConnection[tuple[object, ...]]", ids: Sequence[UUID]
    ) -> dict[UUID, TicketOwner]:
        """Return to whom these tickets belong; unknown ids are left out."""
        rows: list[Any] = await (await connection.execute(OWNERS, [list(ids)], binary=True)).fetchall()
        return {task_id: TicketOwner(*facts) for task_id, *facts in rows}
