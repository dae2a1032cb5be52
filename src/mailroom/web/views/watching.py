"""What a session may see of a ticket."""

from dataclasses import dataclass, replace
from typing import Any

from mailroom.accounts.views import Session
from mailroom.i18n.sentences import in_words
from mailroom.kit.ids import parse_id
from mailroom.progress.snapshot import Snapshot
from mailroom.tasks.models import Task
from mailroom.tasks.tickets import TicketOwner, Watcher
from mailroom.web.browser import current_session, services


@dataclass(frozen=True, slots=True)
class Seen:
    """A task that may be seen, and where it is, in the protocol's form (`in_words`)."""

    task: Task
    public: dict[str, Any]


def watcher_of(session: Session | None) -> Watcher:
    """Return the watcher with the rights of a session."""
    if session is None:
        return Watcher()
    account = session.account
    return Watcher(session.id, account.id if account else None, account.is_operator if account else False)


def may_read_answers(task: Task | TicketOwner, watcher: Watcher) -> bool:
    """Tell whether this watcher may read the server's own words: only the owner's account and operators may."""
    return watcher.operator or (watcher.account_id is not None and task.owner_id == watcher.account_id)


def may_act(task: Task, watcher: Watcher) -> bool:
    """Tell whether this watcher may cancel the task or begin it again: its owner and operators may."""
    if watcher.operator:
        return True
    if task.owner_id is not None:
        return task.owner_id == watcher.account_id
    return task.session_id is not None and task.session_id == watcher.session_id


async def see(ticket: str) -> Seen | None:
    """Return the task of `ticket`; None both if it is unknown and if it belongs to someone else."""
    task_id, watcher = parse_id(ticket), watcher_of(await current_session())
    if task_id is None or watcher.session_id is None:
        return None
    async with services().database.begin() as work:
        task = (await services().tickets.watchable(work, [task_id], watcher)).get(task_id)
    if task is None:
        return None
    tracker = services().tracker
    snapshot = await tracker.snapshot(task_id) if tracker else None
    if snapshot is None:
        snapshot = Snapshot(task_id)  # begun, and nothing is reported yet
    if task.follow_up and not snapshot.follow_up:
        snapshot = replace(snapshot, follow_up=task.follow_up)
    return Seen(task, in_words(snapshot.public(owner=may_read_answers(task, watcher), operator=watcher.operator)))
