"""A member's mails and other tasks in one list, newest first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.models import Mail
from mailroom.mail.views import of_rows, of_tasks
from mailroom.progress.snapshot import Snapshot
from mailroom.tasks.models import Task

NEWEST = 20
"""So many of an account's tasks and mails are looked at to find out whether its list has changed."""

STANDINGS = """
select owner.id, md5(coalesce(string_agg(newest.id::text || newest.state, ',' order by newest.id), ''))
from unnest(%(owners)s::uuid[]) as owner (id)
left join lateral (
    select tasks.id, coalesce(mails.state, tasks.state) as state
    from tasks left join mails on mails.id = tasks.id
    where tasks.owner_id = owner.id order by tasks.id desc limit %(newest)s
) as newest on true
group by owner.id
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """One task, where it is, and, of a mail, to whom it goes."""

    task: Task
    snapshot: Snapshot
    recipient: str | None

    @property
    def is_mail(self) -> bool:
        """True for a mail."""
        return self.recipient is not None


async def listed(
    work: UnitOfWork,
    owner_id: UUID,
    *,
    states: Collection[str] = (),
    before: UUID | None = None,
    mails_only: bool = False,
    limit: int,
) -> list[Listed]:
    """Return the newest `limit` of what an account owns, begun before the task `before`, in one of `states`."""
    query = (
        select(Task, func.coalesce(Mail.typed_recipient, Mail.recipient))
        .outerjoin(Mail, Mail.id == Task.id)
        .where(Task.owner_id == owner_id, func.coalesce(Mail.state, Task.state).is_not(None))
        .order_by(Task.id.desc())  # ids of version 7: by time
        .limit(limit)
    )
    if states:
        query = query.where(func.coalesce(Mail.state, Task.state).in_(list(states)))
    if before:
        query = query.where(Task.id < before)
    if mails_only:
        query = query.where(Mail.id.is_not(None))
    found = (await work.session.execute(query)).all()
    mails = await of_rows(work, [task.id for task, to in found if to is not None])
    tasks = await of_tasks(work, [task.id for task, to in found if to is None])
    shown = {**mails, **tasks}
    return [Listed(task, shown[task.id], to) for task, to in found if task.id in shown]


async def standings(database: Database, owner_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return, for each account, what is another text whenever its newest tasks or their states are others."""
    rows: list[tuple[UUID, str]] = await database.fetch(STANDINGS, {"owners": list(owner_ids), "newest": NEWEST})
    return dict(rows)
