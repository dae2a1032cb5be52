"""Beginning, cancelling and repeating background tasks: rows in the caller's transaction, messages after it."""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import undefer

from mailroom.kit.database import UnitOfWork
from mailroom.kit.errors import MailroomError
from mailroom.kit.ids import new_id
from mailroom.tasks.models import CHAIN, GROUP, Task
from mailroom.tasks.runs import FIRST_NUDGE
from mailroom.tasks.states import TaskState

WAITING = (TaskState.QUEUED, TaskState.RETRYING)
REPEATABLE = (TaskState.FAILED, TaskState.CANCELLED)


class UnknownTask(MailroomError):
    """There is no such task."""


class CannotCancel(MailroomError):
    """It cannot be cancelled any more: it has ended, or it does not let itself be stopped half-way."""


class CannotRepeat(MailroomError):
    """Only a task that failed or was cancelled can be begun again."""


class PublishTask(Protocol):
    """Hand a task to the workers. Never blocks, never raises; the message may be lost."""

    def __call__(self, name: str, task_id: UUID, arguments: Sequence[Any]) -> None:
        """Publish in the background."""


class TaskService:
    """Begins tasks other than mails. What was committed is run, or its end is shown: the sweep sees to it."""

    def __init__(self, publish: PublishTask) -> None:
        self._publish_task = publish

    async def start(
        self,
        work: UnitOfWork,
        name: str,
        *arguments: Any,
        title: str,
        session_id: UUID | None = None,
        owner_id: UUID | None = None,
    ) -> UUID:
        """Write the row of the Celery task `name` and publish it once `work` is committed; return the ticket.

        `arguments` must be fit for JSON and hold nothing secret; `title` is what its watchers read.
        """
        task_id = new_id()
        row = _row(task_id, name, arguments, title=title, session_id=session_id, owner_id=owner_id)
        await work.session.execute(insert(Task).values(**row, nudge_at=func.now() + FIRST_NUDGE))
        self._publish(work, [(name, task_id, arguments)])
        return task_id

    async def start_group(
        self,
        work: UnitOfWork,
        parts: Sequence[tuple[str, Sequence[Any]]],
        *,
        title: str,
        session_id: UUID | None = None,
        owner_id: UUID | None = None,
    ) -> UUID:
        """Begin several tasks at once under one ticket, which counts those that have ended; return it.

        Each part is a Celery task's name and its arguments. The whole fails where a part did, once all ended.
        """
        return await self._start_whole(work, GROUP, parts, title=title, session_id=session_id, owner_id=owner_id)

    async def start_chain(
        self,
        work: UnitOfWork,
        parts: Sequence[tuple[str, Sequence[Any]]],
        *,
        title: str,
        session_id: UUID | None = None,
        owner_id: UUID | None = None,
    ) -> UUID:
        """Begin several tasks one after the other under one ticket; as `start_group`.

        A part begins when the one before it is done; where one fails, the rest is cancelled. Results are not
        handed on: what the next part needs is in the database, or in its arguments.
        """
        return await self._start_whole(work, CHAIN, parts, title=title, session_id=session_id, owner_id=owner_id)

    async def _start_whole(
        self,
        work: UnitOfWork,
        kind: str,
        parts: Sequence[tuple[str, Sequence[Any]]],
        *,
        title: str,
        session_id: UUID | None,
        owner_id: UUID | None,
    ) -> UUID:
        if not parts:
            raise ValueError(f"a {kind} needs at least one part")
        whole_id = new_id()
        whole = _row(whole_id, kind, None, title=title, session_id=session_id, owner_id=owner_id)
        await work.session.execute(insert(Task).values(**whole, current=0, total=len(parts), cancellable=True))
        rows = [
            {**_row(new_id(), name, arguments, title=title), "part_of": whole_id, "place": place}
            for place, (name, arguments) in enumerate(parts)
        ]
        await work.session.execute(insert(Task), rows)
        first = [row for row in rows if kind == GROUP or row["place"] == 0]
        await self._queue(work, [(row["name"], row["id"], row["arguments"]) for row in first])
        return whole_id

    async def cancel(self, work: UnitOfWork, task_id: UUID) -> None:
        """Cancel a task: at once while it waits, at its next report while it runs and allows it.

        Raises `UnknownTask`, and `CannotCancel` where it has ended or does not allow it.
        """
        task = await self._locked(work, task_id)
        if task.name in {GROUP, CHAIN} and task.state in {*WAITING, TaskState.RUNNING}:
            await self._cancel_parts(work, task)
        elif task.state in WAITING:
            await _change(work, [task.id], state=TaskState.CANCELLED, nudge_at=None, ended_at=func.now())
        elif task.state == TaskState.RUNNING and task.cancellable:
            asked = update(Task).where(Task.id == task.id).values(cancel_asked_at=func.now())
            await work.session.execute(asked)
        else:
            raise CannotCancel

    async def _cancel_parts(self, work: UnitOfWork, whole: Task) -> None:
        mine = Task.part_of == whole.id
        await work.session.execute(
            update(Task)
            .where(mine, Task.state.in_(WAITING))
            .values(state=TaskState.CANCELLED, step=Task.step + 1, nudge_at=None, ended_at=func.now())
        )
        await work.session.execute(update(Task).where(mine).values(cancel_asked_at=func.now()))
        if await work.session.scalar(select(func.count()).where(mine, Task.state == TaskState.RUNNING)):
            await work.session.execute(update(Task).where(Task.id == whole.id).values(cancel_asked_at=func.now()))
        else:
            await _change(work, [whole.id], state=TaskState.CANCELLED, ended_at=func.now())

    async def repeat(self, work: UnitOfWork, task_id: UUID) -> None:
        """Begin a task again that failed or was cancelled, under the same ticket; of several, those parts.

        Raises `UnknownTask`, `CannotRepeat`.
        """
        task = await self._locked(work, task_id)
        if task.state not in REPEATABLE or task.name is None:
            raise CannotRepeat
        if task.name not in {GROUP, CHAIN}:
            await _queue_anew(work, [task.id])
            await self._queue(work, [(task.name, task.id, task.arguments or [])])
            return
        rows = (
            select(Task)
            .where(Task.part_of == task.id, Task.state.in_(REPEATABLE))
            .order_by(Task.place)
            .options(undefer(Task.arguments))
        )
        parts = list((await work.session.scalars(rows)).all())
        done = Task.total - len(parts)
        await _queue_anew(work, [part.id for part in parts])
        await _queue_anew(work, [task.id], current=done, total=Task.total)
        first = parts if task.name == GROUP else parts[:1]
        await self._queue(work, [(str(part.name), part.id, part.arguments or []) for part in first])

    async def _locked(self, work: UnitOfWork, task_id: UUID) -> Task:
        row = select(Task).where(Task.id == task_id).options(undefer(Task.arguments)).with_for_update()
        task = (await work.session.scalars(row)).one_or_none()
        if task is None:
            raise UnknownTask
        return task

    async def _queue(self, work: UnitOfWork, due: Sequence[tuple[str, UUID, Sequence[Any]]]) -> None:
        ids = [task_id for _, task_id, _ in due]
        await work.session.execute(
            update(Task).where(Task.id.in_(ids)).values(nudge_at=func.now() + FIRST_NUDGE, nudges=0)
        )
        self._publish(work, due)

    def _publish(self, work: UnitOfWork, due: Sequence[tuple[str, UUID, Sequence[Any]]]) -> None:
        def publish() -> None:
            for name, task_id, arguments in due:
                self._publish_task(name, task_id, arguments)

        work.after_commit(publish)


def _row(
    task_id: UUID,
    name: str,
    arguments: Sequence[Any] | None,
    *,
    title: str,
    session_id: UUID | None = None,
    owner_id: UUID | None = None,
) -> dict[str, Any]:
    return {
        "id": task_id,
        "name": name,
        "arguments": None if arguments is None else list(arguments),
        "title": title,
        "state": TaskState.QUEUED,
        "session_id": session_id,
        "owner_id": owner_id,
    }


async def _change(work: UnitOfWork, ids: Sequence[UUID], **values: Any) -> None:
    await work.session.execute(update(Task).where(Task.id.in_(ids)).values(step=Task.step + 1, **values))


async def _queue_anew(work: UnitOfWork, ids: Sequence[UUID], **values: Any) -> None:
    forgotten = dict.fromkeys(
        ("ended_at", "cancel_asked_at", "retry_at", "nudge_at", "lease_until", "reason", "error", "traceback",
         "message", "stage", "current", "total")
    )  # fmt: skip
    await _change(work, ids, **{**forgotten, "state": TaskState.QUEUED, "nudges": 0, **values})
