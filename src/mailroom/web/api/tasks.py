"""Where tasks are, for programs, and for pages that cannot hold a websocket."""

import hashlib
from typing import Any

from pydantic import BaseModel, Field, field_validator
from quart import Blueprint, Response, abort, json, request
from quart_schema import document_querystring, document_response, operation_id, tag

from mailroom.i18n.sentences import in_words, text_of
from mailroom.kit.ids import parse_id
from mailroom.mail.listing import list_owned
from mailroom.mail.states import State
from mailroom.progress.snapshot import Snapshot
from mailroom.tasks.states import TaskState
from mailroom.tasks.tickets import TicketOwner
from mailroom.tasks.views import iso
from mailroom.web.api.waits import LONGEST, LongPoll, Waits
from mailroom.web.browser import current_session, services
from mailroom.web.errors import problem
from mailroom.web.forms.fields import Form, check_query
from mailroom.web.pages.tasks import asked_states
from mailroom.web.parts import current
from mailroom.web.rate_limits.limits import READ, limited_reads
from mailroom.web.views.view_data import view_data
from mailroom.web.views.watching import Seen, may_read_answers, see, watcher_of

blueprint = Blueprint("tasks", __name__, url_prefix="/api/v1")

LISTED, MOST_LISTED = 50, 100
STATES = frozenset({*map(str, State), *map(str, TaskState)})
QUERY_WORDS = {
    "state": "These are no states. Take some of those in the documentation, separated by commas.",
    "before": "This is no ticket. Give what `next` was on the page before.",
    "limit": f"This is no number from 1 to {MOST_LISTED}.",
    "wait": "This is no number of seconds.",
    "view": "This is neither true nor false.",
}


class TaskBody(BaseModel):
    """Where a task is; only the keys that apply are there."""

    task: str = Field(description="the ticket")
    state: str = Field(
        description="of a mail: queued, sending, retrying, uncertain, sent, failed, expired or cancelled; "
        "of another task: queued, running, retrying, done, failed or cancelled"
    )
    stage: str | None = Field(None, description="of a mail: claimed, connected, handing over or accepted")
    message: str | None = Field(None, description="what the task says of itself")
    message_code: str | None = Field(None, description="the code of that sentence, where Mailroom has one for it")
    params: dict[str, Any] | None = Field(None, description="what the sentence of the code is filled with")
    current: float | None = Field(None, description="how far it is, in whatever it counts")
    total: float | None = Field(None, description="of how much")
    rate: float | None = Field(None, description="a second, smoothed")
    eta: float | None = Field(None, description="seconds left")
    attempt: int | None = None
    retry_at: str | None = Field(None, description="ISO 8601, UTC")
    error: dict[str, Any] | None = Field(
        None,
        description="reason, code, enhanced (RFC 3463), message, message_code, params; traceback for operators",
    )
    timeline: list[dict[str, Any]] | None = Field(None, description="stage, at, attempt; oldest first")
    afterword: str | None = Field(None, description="what came of it after its end: confirmed or replaced")
    cancellable: bool | None = Field(None, description="true where it may be cancelled while it runs")
    final: bool = Field(description="no more changes to come")


class ListedBody(TaskBody):
    """A task in a list."""

    title: str
    kind: str = Field(description="mail or task")
    created_at: str = Field(description="ISO 8601, UTC")


class TasksBody(BaseModel):
    """Tasks and mails of an account, newest first."""

    tasks: list[ListedBody]
    next: str | None = Field(None, description="the `before` of the next page; null on the last")


class Wait(Form):
    """How long to wait for news."""

    wait: float = Field(
        0,
        ge=0,
        allow_inf_nan=False,
        description=f"seconds to wait for news, at most {LONGEST:.0f}, where If-None-Match still holds",
    )

    view: bool = Field(False, description="for our own pages: with what they show of it")


class Which(Form):
    """Which tasks to list."""

    state: str = Field("", description="only in these states, separated by commas")
    before: str = Field("", description="only those begun before this ticket")
    limit: int = Field(LISTED, ge=1, le=MOST_LISTED, description="at most so many")

    @field_validator("state")
    @classmethod
    def _known(cls, text: str) -> str:
        if not STATES.issuperset(asked_states(text)):
            raise ValueError("not a state")
        return text

    @field_validator("before")
    @classmethod
    def _ticket(cls, text: str) -> str:
        if text and parse_id(text) is None:
            raise ValueError("not a ticket")
        return text


@blueprint.get("/tasks")
@limited_reads(READ)
@operation_id("tasks")
@tag(["tasks"])
@document_querystring(Which)
@document_response(TasksBody, 200)
async def tasks() -> Response:
    """List the mails and tasks of the account that is signed in, newest first; 401 if nobody is."""
    session = await current_session()
    if session is None or session.account is None:
        abort(401)
    asked = check_query(Which, QUERY_WORDS)
    limit, states, before = asked.limit, asked_states(asked.state), parse_id(asked.before)
    async with services().database.begin() as work:
        found = await list_owned(work, session.account.id, states=states, before=before, limit=limit + 1)
    shown = [
        {
            **in_words(one.snapshot.public(owner=True)),
            "title": text_of(one.task.title, one.task.title_params),
            "kind": "mail" if one.is_mail else "task",
            "created_at": iso(one.task.created_at),
        }
        for one in found[:limit]
    ]
    more = str(found[limit - 1].task.id) if len(found) > limit else None
    return _answer(json.dumps({"tasks": shown, "next": more}))


@blueprint.get("/tasks/<ticket>")
@limited_reads(READ)
@operation_id("task")
@tag(["tasks"])
@document_querystring(Wait)
@document_response(TaskBody, 200)
async def task(ticket: str) -> Response:
    """Tell where the task of this ticket is. Answers 404 if neither this browser nor its account may know.

    Answers 304 to an `If-None-Match` with the ETag of an answer that still holds; with `wait`, only after that
    many seconds without news. Answers 404 at once if the right to watch the task ends meanwhile.
    """
    seen = await see(ticket)
    if seen is None:
        abort(404)
    asked = check_query(Wait, QUERY_WORDS)
    response = _answer(await _body(seen, seen.public, view=asked.view))
    wait = asked.wait
    if wait > 0 and (response.get_etag()[0] or "") in request.if_none_match:
        return await _later(seen, wait) or await response.make_conditional(request)
    return await response.make_conditional(request)


async def _later(seen: Seen, seconds: float) -> Response | None:
    """Return the next answer that differs; None if so many seconds pass without one."""
    session, tracker = await current_session(), services().tracker
    waits = current(Waits)
    if session is None or tracker is None:
        return None
    if not waits.may_wait(session.id):
        refused = await problem(429, "Too many waiting requests", "End some of them, or ask without `wait`.")
        refused.headers["Retry-After"] = "5"
        return refused
    watcher = watcher_of(session)

    def public(snapshot: Snapshot) -> dict[str, Any]:
        return in_words(snapshot.public(owner=may_read_answers(seen.task, watcher), operator=watcher.operator))

    holder = TicketOwner(seen.task.session_id, seen.task.owner_id)
    waiting = LongPoll(session, seen.task.id, holder)
    snapshot = await waits.news(
        tracker, waiting, seconds=seconds, is_news=lambda told: public(told) != seen.public
    )
    if waiting.forbidden:
        abort(404)
    return _answer(await _body(seen, public(snapshot))) if snapshot else None


async def _body(seen: Seen, public: dict[str, Any], *, view: bool = False) -> str:
    """Return the JSON of a task; operators get the traceback of one that failed."""
    if view:
        public = {**public, "view": view_data(public, is_mail=seen.task.name is None)}
    session = await current_session()
    if public["state"] == "failed" and seen.task.name and watcher_of(session).operator:
        async with services().database.begin() as work:
            traceback = await services().tickets.traceback(work, seen.task.id)
        public = {**public, "error": {**public.get("error", {}), "traceback": traceback}}
    return json.dumps(public)


def _answer(body: str) -> Response:
    response = Response(body, content_type="application/json")
    response.set_etag(hashlib.sha256(body.encode()).hexdigest()[:20])
    response.headers["Cache-Control"] = "private, no-cache"
    return response
