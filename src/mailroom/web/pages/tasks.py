"""The live list of one's own tasks and mails, the page of a task, and cancelling and retrying it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quart import Blueprint, Response, abort, request

from mailroom.i18n.messages import gettext_noop, translated
from mailroom.i18n.sentences import error_text, in_words, text_of
from mailroom.kit.ids import parse_id
from mailroom.mail.listing import NEWEST, OwnedTask, list_fingerprints, list_owned
from mailroom.tasks.models import Task
from mailroom.tasks.service import CannotCancel, CannotRetry
from mailroom.web.browser import current_session, services
from mailroom.web.error_table import NotShown
from mailroom.web.errors import wants_json
from mailroom.web.forms.return_to import member
from mailroom.web.page import page, redirect
from mailroom.web.pages.results import ResultBlocks
from mailroom.web.parts import current
from mailroom.web.rate_limits import limits
from mailroom.web.refused import Refused, show_again, take
from mailroom.web.views.progress_view import view_of
from mailroom.web.views.task_view import task_view
from mailroom.web.views.watching import may_act, see, watcher_of

blueprint = Blueprint("task_pages", __name__)

SHOWN = NEWEST
"""Tasks on a page of the list."""
FILTERS = {
    "": gettext_noop("All"),
    "queued,sending,running,retrying": gettext_noop("In progress"),
    "sent,done": gettext_noop("Done"),
    "uncertain": gettext_noop("Unclear"),
    "failed,expired,cancelled": gettext_noop("Failed or cancelled"),
}
"""Filters of the list: states in the address → the words of the link."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list."""

    id: str
    href: str
    title: str
    recipient: str | None
    begun: Any
    view: Any


def line_of(found: OwnedTask) -> Line:
    """Return the line of one task or mail; both views have what the list shows."""
    task, public = found.task, in_words(found.snapshot.public(owner=True))
    view: Any = view_of(public) if found.is_mail else task_view(public)
    room = "mails" if found.is_mail else "tasks"
    return Line(
        str(task.id),
        f"/{room}/{task.id}",
        text_of(task.title, task.title_params),
        found.recipient,
        task.created_at,
        view,
    )


def asked_states(text: str) -> Sequence[str]:
    """Return the states named in an address, separated by commas."""
    return [state for state in (part.strip() for part in text[:200].split(",")) if state]


@blueprint.get("/tasks")
async def tasks() -> Response:
    """List the member's own mails and tasks, newest first, or ask to sign in."""
    _, account = await member()
    state, before = request.args.get("state", ""), parse_id(request.args.get("before", ""))
    owner = account.id
    standing = (await list_fingerprints(services().database, [owner]))[owner]  # first: later changes are told live
    async with services().database.begin() as work:
        found = await list_owned(work, owner, states=asked_states(state), before=before, limit=SHOWN + 1)
    return await page(
        "tasks.html",
        lines=[line_of(one) for one in found[:SHOWN]],
        filters=[(states, translated(label)) for states, label in FILTERS.items()],
        state=state,
        standing=standing,
        earlier=str(found[SHOWN - 1].task.id) if len(found) > SHOWN else None,
        paged=before is not None,
    )


@blueprint.get("/tasks/<ticket>")
async def task(ticket: str) -> Response:
    """Show where a task is. The page is complete without JavaScript."""
    return await _task_page(ticket, take())


async def _task_page(ticket: str, refused: Refused) -> Response:
    """Return the page of a task. Raises `NotShown` where the ticket is unknown or someone else's."""
    seen = await see(ticket)
    if seen is None:
        raise NotShown
    if seen.task.name is None:
        return redirect(f"/mails/{seen.task.id}")
    watcher = watcher_of(await current_session())
    view, block = task_view(seen.public), current(ResultBlocks).get(seen.task.name)
    return await page(
        "task.html",
        refused.status,
        task=seen.task,
        title=text_of(seen.task.title, seen.task.title_params),
        view=view,
        acts=may_act(seen.task, watcher),
        stopping=seen.task.cancel_asked_at is not None and not view.final,
        block=block,
        **(await block.values(seen.task) if block else {}),
        traceback=await _traceback(seen.task) if watcher.operator else None,
        message=refused.messages.get("act", ""),
        refreshes=not refused.messages and not view.final,
    )


async def _traceback(shown: Task) -> str | None:
    async with services().database.begin() as work:
        return await services().tickets.traceback(work, shown.id)


@blueprint.post("/tasks/<ticket>/cancel")
@limits.limited(limits.CHANGE)
async def cancel(ticket: str) -> Response:
    """Cancel one's own task: at once while it waits; while it runs, at its next report, if it allows that."""
    return await _act(ticket, services().task_service.cancel)


@blueprint.post("/tasks/<ticket>/retry")
@limits.limited(limits.CHANGE)
async def retry(ticket: str) -> Response:
    """Retry one's own task that failed or was cancelled."""
    return await _act(ticket, services().task_service.retry)


async def _act(ticket: str, deed: Any) -> Response:
    task_id, watcher = parse_id(ticket), watcher_of(await current_session())
    if task_id is None or watcher.session_id is None:
        abort(404)
    try:
        async with services().database.begin() as work:
            mine = (await services().tickets.watchable(work, [task_id], watcher)).get(task_id)
            if mine is None or mine.name is None or not may_act(mine, watcher):
                abort(404)
            await deed(work, task_id)
    except (CannotCancel, CannotRetry) as error:
        if wants_json():
            raise
        refused = Refused({}, {"act": error_text(error)}, 409)
        return await show_again(refused, lambda it: _task_page(ticket, it), at=f"/tasks/{task_id}")
    return redirect(f"/tasks/{task_id}")
