"""A member's mails and other tasks in one list, newest first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.models import Mail
from mailroom.mail.views import mail_snapshots, task_snapshots
from mailroom.progress.snapshot import Snapshot
from mailroom.tasks.models import Task

NEWEST = 20
"""The newest tasks and mails of an account whose states go into its fingerprint."""

FINGERPRINTS = """
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
class OwnedTask:
    """A task or mail of an account, and its state; `recipient` is None if it is no mail."""

    task: Task
    snapshot: Snapshot
    recipient: str | None

    @property
    def is_mail(self) -> bool:
        """True for a mail."""
        return self.recipient is not None


async def list_owned(
    work: UnitOfWork,
    owner_id: UUID,
    *,
    states: Collection[str] = (),
    before: UUID | None = None,
    mails_only: bool = False,
    limit: int,
) -> list[OwnedTask]:
    """Return at most `limit` of an account's tasks and mails, the newest first.

    If given: only those in one of `states`, begun before the task `before`, and mails only.
    """
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
    mails = await mail_snapshots(work, [task.id for task, to in found if to is not None])
    tasks = await task_snapshots(work, [task.id for task, to in found if to is None])
    shown = {**mails, **tasks}
    return [OwnedTask(task, shown[task.id], to) for task, to in found if task.id in shown]


async def list_fingerprints(database: Database, owner_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return a hash for each account. It changes whenever the account's newest tasks or their states change."""
    values = {"owners": list(owner_ids), "newest": NEWEST}
    rows: list[tuple[UUID, str]] = await database.fetch(FINGERPRINTS, values)
    return dict(rows)
