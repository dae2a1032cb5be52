"""Background tasks, for programs: list them by name and state, show one with its parts, retry and cancel it."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from quart import Blueprint, Response
from quart_schema import document_querystring, document_response, operation_id, tag
from sqlalchemy import select
from sqlalchemy.orm import undefer

from mailroom.desk.as_json import usual_json
from mailroom.desk.task_desk import TaskFilter
from mailroom.i18n.sentences import text_of
from mailroom.kit.clock import iso
from mailroom.kit.database import UnitOfWork
from mailroom.tasks.models import Task
from mailroom.tasks.service import CannotCancel, CannotRetry, UnknownTask
from mailroom.web.api.desk.asked import Reader, actor, id_of, reader, wrong
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import ACTS_ON_ALL, LOOKS_AT_ALL, needs_key
from mailroom.web.api.queries import Page, query_of
from mailroom.web.browser import services
from mailroom.web.program_answers import VALIDATION, ApiError, answer
from mailroom.web.rate_limits.limits import API, READ, limited_reads

blueprint = Blueprint("desk_api_tasks", __name__, url_prefix="/api/v1/desk/tasks")

UNKNOWN = "There is no such task."


class TasksQuery(Page):
    """Which tasks."""

    name: str = Field("", max_length=200)
    state: Literal["queued", "running", "retrying", "done", "failed", "cancelled"] | None = None
    words: str = Field("", max_length=200, description="a part of the arguments; for scope `full`")


class TaskShown(BaseModel):
    """A background task."""

    id: str
    name: str
    title: str
    state: str
    current: float | None = Field(description="how far it is, in whatever it counts")
    total: float | None
    attempt: int
    error: str | None
    created_at: str
    began_at: str | None
    ended_at: str | None
    retry_at: str | None
    cancel_asked_at: str | None


class UsualShown(BaseModel):
    """What is usual for tasks of one name, among the newest 5,000 tasks of seven days. Times are seconds."""

    name: str
    count: int
    failed: int
    open: int
    p50: float | None
    p99: float | None


class TaskPage(BaseModel):
    """Tasks, the newest first."""

    object: str = "list"
    has_more: bool
    next: str | None = Field(description="`before` of the next page")
    looked_to: str | None = Field(description="how far back it looked, where it was stopped in time")
    data: list[TaskShown]
    names: list[UsualShown]


class WholeTaskShown(TaskShown):
    """A task with its parts; `arguments` and `traceback` for scope `full`."""

    arguments: list[Any] | None
    traceback: str | None
    parts: list[TaskShown]


@blueprint.get("")
@limited_reads(READ)
@operation_id("deskTasks")
@tag(["desk"])
@document_querystring(TasksQuery)
@document_response(TaskPage, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def list_tasks() -> Response:
    """List the tasks of the last seven days by name and state, and tell what is usual for each name."""
    looks, asked, desk = await reader(), query_of(TasksQuery), services().task_desk
    if asked.words and not looks.whole:
        wrong("words", "Arguments may name people: this takes the scope `full`.")
    wanted = TaskFilter(asked.name, asked.state or "", asked.words)
    page = await desk.page(wanted, before=asked.before_id, limit=asked.limit)
    return answer(
        {
            "object": "list",
            "has_more": page.next is not None,
            "next": str(page.next) if page.next else None,
            "looked_to": iso(page.looked_to),
            "data": [_shown(task, looks) for task in page.rows],
            "names": [usual_json(one) for one in (await desk.names()).values()],
        }
    )


@blueprint.get("/<task_id>")
@limited_reads(READ)
@operation_id("deskTask")
@tag(["desk"])
@document_response(WholeTaskShown, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def look_up(task_id: str) -> Response:
    """Show a task with its parts."""
    return answer(await _task(id_of(task_id, UNKNOWN)))


@blueprint.post("/<task_id>/retry")
@limited_reads(API)
@operation_id("deskRetryTask")
@tag(["desk"])
@document_response(WholeTaskShown, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def retry(task_id: str) -> Response:
    """Retry a task that failed or was cancelled."""
    return await _act(task_id, "task.retried", services().task_service.retry)


@blueprint.post("/<task_id>/cancel")
@limited_reads(API)
@operation_id("deskCancelTask")
@tag(["desk"])
@document_response(WholeTaskShown, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def cancel(task_id: str) -> Response:
    """Cancel a task: at once while it waits, at its next report while it runs."""
    return await _act(task_id, "task.cancelled", services().task_service.cancel)


async def _act(task_id: str, action: str, act: Callable[[UnitOfWork, UUID], Awaitable[None]]) -> Response:
    found = id_of(task_id, UNKNOWN)
    await _task(found)  # 404 for the ticket of a mail, which is no background task
    try:
        await services().acts.act_on(await actor(), action, act, found)
    except UnknownTask:
        raise ApiError(404, "not_found", UNKNOWN) from None
    except CannotRetry:
        raise ApiError(422, VALIDATION, "Only a task that failed or was cancelled begins again.") from None
    except CannotCancel:
        raise ApiError(422, VALIDATION, "It has ended, or cannot be cancelled while it runs.") from None
    return answer(await _task(found))


async def _task(found: UUID) -> dict[str, Any]:
    """Return a task. Raises `ApiError` 404."""
    looks = await reader()
    query = select(Task).where(Task.id == found, Task.name.is_not(None))
    query = query.options(undefer(Task.arguments), undefer(Task.traceback))
    async with services().database.begin() as work:
        task = (await work.session.scalars(query)).one_or_none()
        if task is None:
            raise ApiError(404, "not_found", UNKNOWN)
        parts = await services().task_desk.parts(work, found)
        return {
            **_shown(task, looks),
            "arguments": task.arguments if looks.whole else None,
            "traceback": task.traceback if looks.whole else None,
            "parts": [_shown(part, looks) for part in parts],
        }


def _shown(task: Task, looks: Reader) -> dict[str, Any]:
    return {
        "id": str(task.id),
        "name": task.name,
        "title": looks.seen(text_of(task.title, task.title_params)),
        "state": str(task.state),
        "current": task.current,
        "total": task.total,
        "attempt": task.attempt,
        "error": looks.seen(text_of(task.error, task.error_params)) if task.error else None,
        "created_at": iso(task.created_at),
        "began_at": iso(task.began_at),
        "ended_at": iso(task.ended_at),
        "retry_at": iso(task.retry_at),
        "cancel_asked_at": iso(task.cancel_asked_at),
    }
