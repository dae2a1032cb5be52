"""Starts, cancels and retries background tasks: rows in the caller's transaction, messages after it."""

import json
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import undefer

from mailroom.kit.database import UnitOfWork
from mailroom.kit.errors import MailroomError
from mailroom.kit.ids import new_id
from mailroom.kit.statements import psycopg_of
from mailroom.progress.sentence import Sentence, to_columns
from mailroom.statistics import names
from mailroom.statistics.counters import Counters
from mailroom.tasks.models import CHAIN, GROUP, Task
from mailroom.tasks.parents import REPUBLISH_AFTER, cancel_rest, update_parent
from mailroom.tasks.queries import INSERT_PARTS
from mailroom.tasks.states import RETRYABLE, WAITING, TaskState

Part = tuple[str, Sequence[Any]]
"""The name of a Celery task and its arguments."""


class UnknownTask(MailroomError):
    """There is no such task."""

    message_code = "task.error.unknown"


class CannotCancel(MailroomError):
    """The task has ended, or it cannot be stopped half-way."""

    message_code = "task.error.cannot_cancel"


class CannotRetry(MailroomError):
    """Only a task that failed or was cancelled can be started again."""

    message_code = "task.error.cannot_retry"


class PublishTask(Protocol):
    """Hand a task to the workers. Never blocks, never raises; the message may be lost."""

    def __call__(self, name: str, task_id: UUID, arguments: Sequence[Any]) -> None:
        """Publish in the background."""


class TaskService:
    """Starts tasks other than mails. The sweep makes sure that a committed task runs, or that its end is shown.

    Watchers read titles: a text is shown as it is, a `Sentence` in the reader's language. Arguments are
    JSON, at most some KB each, and hold nothing secret.
    """

    def __init__(self, publish: PublishTask, counters: Counters | None = None) -> None:
        self._publish_task = publish
        self._counters = counters or Counters()

    async def start(
        self,
        work: UnitOfWork,
        name: str,
        *arguments: Any,
        title: str | Sentence,
        session_id: UUID | None = None,
        owner_id: UUID | None = None,
    ) -> UUID:
        """Write the row of the Celery task `name` and publish it once `work` is committed; return the ticket.

        The browser session or account given may watch it.
        """
        task_id = new_id()
        row = _row(task_id, name, title=title, session_id=session_id, owner_id=owner_id)
        values = {**row, "arguments": list(arguments), "nudge_at": func.now() + REPUBLISH_AFTER}
        await work.session.execute(insert(Task).values(values))
        self._publish(work, [(name, task_id, arguments)])
        return task_id

    async def start_group(
        self,
        work: UnitOfWork,
        parts: Sequence[Part],
        *,
        title: str | Sentence,
        session_id: UUID | None = None,
        owner_id: UUID | None = None,
    ) -> UUID:
        """Start several tasks at once under one ticket, which counts those that have ended; return it.

        The group fails if a part failed, once all have ended. Raises ValueError without parts.
        """
        return await self._start_parent(work, GROUP, parts, title=title, session_id=session_id, owner_id=owner_id)

    async def start_chain(
        self,
        work: UnitOfWork,
        parts: Sequence[Part],
        *,
        title: str | Sentence,
        session_id: UUID | None = None,
        owner_id: UUID | None = None,
    ) -> UUID:
        """Start several tasks one after the other under one ticket; as `start_group`.

        A part begins when the one before it is done; if one fails, the rest is cancelled. Results are not
        handed on: what the next part needs is in the database, or in its arguments.
        """
        return await self._start_parent(work, CHAIN, parts, title=title, session_id=session_id, owner_id=owner_id)

    async def _start_parent(
        self,
        work: UnitOfWork,
        kind: str,
        parts: Sequence[Part],
        *,
        title: str | Sentence,
        session_id: UUID | None,
        owner_id: UUID | None,
    ) -> UUID:
        if not parts:
            raise ValueError(f"a {kind} needs at least one part")
        parent = _row(new_id(), kind, title=title, session_id=session_id, owner_id=owner_id)
        await work.session.execute(insert(Task).values(**parent, current=0, total=len(parts), cancellable=True))
        ids = [new_id() for _ in parts]
        values = {
            "parent": parent["id"],
            "title": parent["title"],
            "title_params": None if parent["title_params"] is None else Jsonb(parent["title_params"]),
            "at_once": kind == GROUP,
            "first": REPUBLISH_AFTER,
            "ids": ids,
            "names": [name for name, _ in parts],
            "arguments": [json.dumps(list(arguments)) for _, arguments in parts],
        }
        await work.write(INSERT_PARTS, values)
        first = parts if kind == GROUP else parts[:1]
        self._publish(
            work,
            [(name, task_id, arguments) for (name, arguments), task_id in zip(first, ids, strict=False)],
        )
        return parent["id"]  # type: ignore[no-any-return]

    async def cancel(self, work: UnitOfWork, task_id: UUID) -> None:
        """Cancel a task: at once while it waits, at its next report while it runs and allows it.

        Raises `UnknownTask`, and `CannotCancel` if it has ended or does not allow it.
        """
        task, parent = await self._locked(work, task_id)
        if task.name in {GROUP, CHAIN} and task.state in {*WAITING, TaskState.RUNNING}:
            await self._cancel_parts(work, task)
        elif task.state in WAITING:
            await _change(work, [task.id], state=TaskState.CANCELLED, nudge_at=None, ended_at=func.now())
            rest = 0
            if parent:
                connection = await psycopg_of(await work.session.connection())
                if parent.name == CHAIN:
                    rest = await cancel_rest(connection, parent.id)
                await update_parent(connection, parent.id, str(parent.name))
            work.after_commit(lambda: self._counters.add(names.TASKS, TaskState.CANCELLED, 1 + rest))
        elif task.state == TaskState.RUNNING and task.cancellable:
            asked = update(Task).where(Task.id == task.id).values(cancel_asked_at=func.now())
            await work.session.execute(asked)
        else:
            raise CannotCancel

    async def _cancel_parts(self, work: UnitOfWork, parent: Task) -> None:
        mine = Task.part_of == parent.id
        waiting = (
            update(Task)
            .where(mine, Task.state.in_(WAITING))
            .values(state=TaskState.CANCELLED, step=Task.step + 1, nudge_at=None, ended_at=func.now())
            .returning(Task.id)
            .execution_options(synchronize_session=False)
        )
        cancelled = len((await work.session.execute(waiting)).all())
        work.after_commit(lambda: self._counters.add(names.TASKS, TaskState.CANCELLED, cancelled))
        await work.session.execute(update(Task).where(mine).values(cancel_asked_at=func.now()))
        running = await work.session.scalar(select(func.count()).where(mine, Task.state == TaskState.RUNNING))
        if running:
            asked = {"cancel_asked_at": func.now(), "current": Task.total - running}
            await work.session.execute(update(Task).where(Task.id == parent.id).values(asked))
        else:
            await update_parent(await psycopg_of(await work.session.connection()), parent.id, str(parent.name))

    async def retry(self, work: UnitOfWork, task_id: UUID) -> None:
        """Start a task again that failed or was cancelled, under the same ticket.

        Of a group or chain, only the parts that failed or were cancelled are started again.

        Raises `UnknownTask`, `CannotRetry`.
        """
        task, _ = await self._locked(work, task_id)
        if task.state not in RETRYABLE or task.name is None:
            raise CannotRetry
        if task.name not in {GROUP, CHAIN}:
            await _queue_anew(work, [task.id])
            await self._queue(work, [(task.name, task.id, task.arguments or [])])
            return
        rows = (
            select(Task)
            .where(Task.part_of == task.id, Task.state.in_(RETRYABLE))
            .order_by(Task.place)
            .options(undefer(Task.arguments))
        )
        parts = list((await work.session.scalars(rows)).all())
        done = Task.total - len(parts)
        await _queue_anew(work, [part.id for part in parts])
        await _queue_anew(work, [task.id], current=done, total=Task.total)
        first = parts if task.name == GROUP else parts[:1]
        await self._queue(work, [(str(part.name), part.id, part.arguments or []) for part in first])

    async def _locked(self, work: UnitOfWork, task_id: UUID) -> tuple[Task, Task | None]:
        """Return a task and its group or chain, both locked, the latter first: workers lock them in this order."""
        part_of = select(Task.part_of).where(Task.id == task_id).scalar_subquery()
        parent = (
            await work.session.scalars(select(Task).where(Task.id == part_of).with_for_update())
        ).one_or_none()
        row = select(Task).where(Task.id == task_id).options(undefer(Task.arguments)).with_for_update()
        task = (await work.session.scalars(row)).one_or_none()
        if task is None:
            raise UnknownTask
        return task, parent

    async def _queue(self, work: UnitOfWork, due: Sequence[tuple[str, UUID, Sequence[Any]]]) -> None:
        ids = [task_id for _, task_id, _ in due]
        await work.session.execute(
            update(Task).where(Task.id.in_(ids)).values(nudge_at=func.now() + REPUBLISH_AFTER, nudges=0)
        )
        self._publish(work, due)

    def _publish(self, work: UnitOfWork, due: Sequence[tuple[str, UUID, Sequence[Any]]]) -> None:
        def publish() -> None:
            for name, task_id, arguments in due:
                self._publish_task(name, task_id, arguments)

        work.after_commit(publish)


def _row(
    task_id: UUID, name: str, *, title: str | Sentence, session_id: UUID | None, owner_id: UUID | None
) -> dict[str, Any]:
    text, params = to_columns(title)
    return {
        "id": task_id,
        "name": name,
        "title": text,
        "title_params": params,
        "state": TaskState.QUEUED,
        "session_id": session_id,
        "owner_id": owner_id,
    }


async def _change(work: UnitOfWork, ids: Sequence[UUID], **values: Any) -> None:
    await work.session.execute(update(Task).where(Task.id.in_(ids)).values(step=Task.step + 1, **values))


async def _queue_anew(work: UnitOfWork, ids: Sequence[UUID], **values: Any) -> None:
    forgotten = dict.fromkeys(
        ("ended_at", "cancel_asked_at", "retry_at", "nudge_at", "lease_until", "reason", "error", "error_params",
         "traceback", "message", "message_params", "stage", "current", "total")
    )  # fmt: skip
    await _change(work, ids, **{**forgotten, "state": TaskState.QUEUED, "nudges": 0, **values})
