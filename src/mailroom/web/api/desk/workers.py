"""Workers, queues and pauses, for programs: which processes run, what waits, what is held back."""

from typing import Any, Literal

from pydantic import BaseModel, Field
from quart import Blueprint, Response
from quart_schema import document_request, document_response, operation_id, tag

from mailroom.desk.as_json import pause_json, process_json, queue_json
from mailroom.desk.backlog import backlog
from mailroom.desk.pause_acts import change_pause, names_to_pause
from mailroom.desk.processes.readings import processes
from mailroom.desk.queues import lately, open_tasks, queues
from mailroom.mail.ledger.pauses import pauses
from mailroom.web.api.desk.asked import Body, actor, body_of, reader, wrong
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import ACTS_ON_ALL, LOOKS_AT_ALL, needs_key
from mailroom.web.browser import services
from mailroom.web.program_answers import ApiError, answer
from mailroom.web.rate_limits.limits import API, READ, limited_reads

blueprint = Blueprint("desk_api_workers", __name__, url_prefix="/api/v1/desk")


class ProcessShown(BaseModel):
    """A process of Mailroom that runs, or that ended within the last hour."""

    name: str
    role: str = Field(description="worker, web or submission")
    state: str = Field(description="alive, unknown (it may live), gone or ended")
    wish: str | None = Field(description="what it was asked to do: drain or stop")
    host: str
    pid: int
    version: str
    started_at: str
    seen_at: str
    last_minute: int = Field(description="attempts that ended in the last full minute")
    facts: dict[str, Any] = Field(description="what it says of itself: what it has in hand, memory, mail server")


class PauseShown(BaseModel):
    """What is held back."""

    what: str = Field(description="all, stream, kind or tasks")
    name: str = Field(description="of the stream or kind")
    since: str
    by: str


class QueueShown(BaseModel):
    """A stream of mails. Counts stop at 10,001, which means: more than 10,000."""

    stream: str
    queued: int
    retrying: int
    scheduled: int
    oldest: str | None = Field(description="since when the oldest waits that could be sent at once")
    came: int = Field(description="in the last ten minutes")
    went: int = Field(description="in the last ten minutes")
    paused: bool


class WorkersShown(BaseModel):
    """All processes."""

    object: str = "list"
    data: list[ProcessShown]


class QueuesShown(BaseModel):
    """The streams of mails, background tasks by state, and what is held back."""

    object: str = "list"
    data: list[QueueShown]
    tasks: dict[str, int] = Field(description="background tasks that have not ended, by state")
    pauses: list[PauseShown]


class WishBody(Body):
    """What a worker is asked to do."""

    name: str = Field(max_length=200)
    wish: Literal["drain", "stop", "resume"] = Field(
        description="drain: take on nothing more; stop: end within its STOP_SECONDS; resume: take on work again"
    )


class WishShown(BaseModel):
    """What the worker was asked to do; it hears of it within five seconds."""

    object: str = "worker"
    name: str
    wish: str | None


class PauseBody(Body):
    """What to pause or resume."""

    act: Literal["pause", "resume"]
    what: Literal["all", "stream", "kind", "tasks"]
    name: str = Field("", description="of the stream (transactional, bulk) or the kind of mail")


class PauseChanged(BaseModel):
    """What was paused or resumed."""

    object: str = "pause"
    what: str
    name: str
    paused: bool
    changed: bool = Field(description="false where it was so before")


@blueprint.get("/workers")
@limited_reads(READ)
@operation_id("deskWorkers")
@tag(["desk"])
@document_response(WorkersShown, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def list_workers() -> Response:
    """List the processes, including those that ended within the last hour."""
    async with services().database.begin_plain() as work:
        rows = await processes(work)
    return answer({"object": "list", "data": [process_json(row) for row in rows]})


@blueprint.post("/workers")
@limited_reads(API)
@operation_id("deskAskWorker")
@tag(["desk"])
@document_request(WishBody)
@document_response(WishShown, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def ask_worker() -> Response:
    """Ask a worker to drain, to stop, or to resume."""
    body = await body_of(WishBody)
    wish = None if body.wish == "resume" else body.wish
    if not await services().acts.ask_worker(await actor(), body.name, wish):
        raise ApiError(404, "not_found", "No worker has this name.")
    return answer({"object": "worker", "name": body.name, "wish": wish})


@blueprint.get("/queues")
@limited_reads(READ)
@operation_id("deskQueues")
@tag(["desk"])
@document_response(QueuesShown, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def list_queues() -> Response:
    """List what waits, and what is held back."""
    seen = (await reader()).seen
    async with services().database.begin_plain() as work:
        waits, held_back = await backlog(work), await pauses(work)
        streams = await queues(work, await lately(work), waits)
        tasks = await open_tasks(work)
    return answer(
        {
            "object": "list",
            "data": [queue_json(one, held_back) for one in streams],
            "tasks": dict(tasks),
            "pauses": [pause_json(one, seen) for one in held_back],
        }
    )


@blueprint.post("/pauses")
@limited_reads(API)
@operation_id("deskPause")
@tag(["desk"])
@document_request(PauseBody)
@document_response(PauseChanged, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def hold_back() -> Response:
    """Pause or resume all mails, the mails of a stream or kind, or background tasks."""
    body, have = await body_of(PauseBody), services()
    known = names_to_pause(have.mail_kinds)[body.what]
    if body.name not in known:
        wrong("name", f"Give one of {', '.join(sorted(known))}." if known != {""} else "Leave it out.")
    paused = body.act == "pause"
    changed = await change_pause(have.database, have.audit_log, await actor(), body.what, body.name, paused=paused)
    told = {"object": "pause", "what": body.what, "name": body.name, "paused": paused, "changed": changed}
    return answer(told)
