"""Background tasks: by name and state, what is usual for each name, and one task with its traceback and parts."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from quart import Blueprint, Response, abort, request
from sqlalchemy import select
from sqlalchemy.orm import undefer

from mailroom.desk.task_desk import NameStatistics, TaskFilter
from mailroom.i18n.formats import counted, short_span
from mailroom.i18n.messages import translated
from mailroom.i18n.sentences import error_text, text_of
from mailroom.kit import clock
from mailroom.kit.ids import parse_id
from mailroom.progress.moods import mood_of
from mailroom.tasks.models import Task
from mailroom.tasks.service import CannotCancel, CannotRetry, UnknownTask
from mailroom.tasks.states import ENDED, RETRYABLE, TaskState
from mailroom.web.browser import services
from mailroom.web.desk.access import actor_of, masked, operator, staff
from mailroom.web.desk.frame import desk_page
from mailroom.web.errors import respond, wants_json
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import Refused, show_again, take
from mailroom.web.views.words import TASK_STATES

blueprint = Blueprint("desk_tasks", __name__, url_prefix="/desk/tasks")

SHOWN = 50
LONGEST = 200


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One task of a list."""

    id: UUID
    name: str
    title: str
    word: str
    mood: str
    progress: str
    took: str
    unusual: bool
    """True if it takes, or took, longer than 99 of 100 tasks of the same name."""
    at: datetime
    error: str


def line_of(task: Task, usual: NameStatistics | None, *, whole: bool) -> TaskLine:
    """Return the line of a task; `whole`: with what may hold addresses."""
    state = str(task.state)
    seconds = _seconds(task)
    p99 = usual.p99 if usual else None
    title, error = text_of(task.title, task.title_params), task.error and text_of(task.error, task.error_params)
    return TaskLine(
        task.id,
        str(task.name),
        title if whole else masked(title),
        translated(TASK_STATES[state].word) if state in TASK_STATES else state,
        mood_of(state),
        counted(task.current, task.total),
        short_span(seconds) if seconds is not None else "",
        bool(seconds and p99 and seconds > p99),
        task.created_at,
        (error or "") if whole else masked(error or ""),
    )


def _seconds(task: Task) -> float | None:
    if task.began_at is None:
        return None
    return ((task.ended_at or clock.now()) - task.began_at).total_seconds()


@blueprint.get("")
async def tasks() -> Response:
    """List the tasks by name and state, and tell what is usual for each name."""
    account = await staff()
    name, state, words = (request.args.get(key, "").strip()[:LONGEST] for key in ("name", "state", "words"))
    words = words if account.is_operator else ""  # arguments may name people
    wanted = TaskFilter(name, state if state in set(TaskState) else "", words)
    usual = await services().task_desk.names()
    found = await services().task_desk.page(wanted, before=parse_id(request.args.get("before", "")), limit=SHOWN)
    chosen = {key: value for key, value in (("name", name), ("state", wanted.state), ("words", words)) if value}
    return await desk_page(
        "desk/tasks.html",
        lines=[line_of(task, usual.get(str(task.name)), whole=account.is_operator) for task in found.rows],
        looked_to=found.looked_to,
        names=[
            (one, f"/desk/tasks?{urlencode({'name': one.name})}", short(one.p50), short(one.p99))
            for one in usual.values()
        ],
        chosen=chosen,
        states=[(one.value, translated(TASK_STATES[one].word)) for one in TaskState],
        older=f"/desk/tasks?{urlencode({**chosen, 'before': str(found.next)})}" if found.next else None,
        newest=f"/desk/tasks?{urlencode(chosen)}" if "before" in request.args else None,
    )


def short(seconds: float | None) -> str:
    """Return a length of time in words; a dash if there is none."""
    return "-" if seconds is None else short_span(float(seconds))


@blueprint.get("/<task_id>")
async def task(task_id: str) -> Response:
    """Show one task."""
    return await _page(task_id, take())


async def _page(task_id: str, refused: Refused) -> Response:
    account, found = await staff(), parse_id(task_id)
    whole = account.is_operator
    async with services().database.begin() as work:
        query = select(Task).where(Task.id == found, Task.name.is_not(None)) if found else None
        more = (undefer(Task.arguments), undefer(Task.traceback))
        shown = (await work.session.scalars(query.options(*more))).one_or_none() if query is not None else None
        if shown is None:
            abort(404)
        parts = await services().task_desk.parts(work, shown.id)
    usual = (await services().task_desk.names()).get(str(shown.name))
    return await desk_page(
        "desk/task.html",
        refused.status,
        task=shown,
        line=line_of(shown, usual, whole=whole),
        usual=usual and (short(usual.p50), short(usual.p99)),
        arguments=json.dumps(shown.arguments, ensure_ascii=False) if whole and shown.arguments else "",
        traceback=shown.traceback if whole else None,
        parts=[line_of(part, None, whole=whole) for part in parts],
        message=refused.messages.get("act", ""),
        stopping=shown.cancel_asked_at is not None and shown.state not in ENDED,
        can_retry=shown.state in RETRYABLE,
        can_cancel=shown.state not in ENDED,
    )


@blueprint.post("/<task_id>/retry")
@limits.limited(limits.CHANGE)
async def retry(task_id: str) -> Response:
    """Retry a task that failed or was cancelled."""
    return await _act(task_id, "task.retried", services().task_service.retry)


@blueprint.post("/<task_id>/cancel")
@limits.limited(limits.CHANGE)
async def cancel(task_id: str) -> Response:
    """Cancel a task: at once while it waits, at its next report while it runs."""
    return await _act(task_id, "task.cancelled", services().task_service.cancel)


async def _act(task_id: str, action: str, act: Any) -> Response:
    account, found = await operator(), parse_id(task_id)
    if found is None:
        abort(404)
    try:
        await services().acts.act_on(actor_of(account), action, act, found)
    except UnknownTask:
        abort(404)
    except (CannotCancel, CannotRetry) as error:
        if wants_json():
            return await respond(error)
        refused = Refused({}, {"act": error_text(error)}, 409)
        return await show_again(refused, lambda it: _page(task_id, it), at=f"/desk/tasks/{found}")
    return redirect(f"/desk/tasks/{found}")
