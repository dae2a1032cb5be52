"""Where one task is, for programs, and for pages that cannot hold a websocket."""

import hashlib
from typing import Any

from pydantic import BaseModel, Field
from quart import Blueprint, Response, abort, json, request
from quart_schema import document_response, operation_id, tag

from mailroom.web.limits import READ, limited_reads
from mailroom.web.watching import see

blueprint = Blueprint("tasks", __name__, url_prefix="/api/v1")


class TaskBody(BaseModel):
    """Where a task is; only the keys that apply are there."""

    task: str = Field(description="the ticket")
    state: str = Field(description="queued, sending, retrying, uncertain, sent, failed, expired or cancelled")
    stage: str | None = Field(None, description="claimed, connected, handing over or accepted")
    message: str | None = None
    current: float | None = None
    total: float | None = None
    rate: float | None = Field(None, description="a second")
    eta: float | None = Field(None, description="seconds left")
    attempt: int | None = None
    retry_at: str | None = Field(None, description="ISO 8601, UTC")
    error: dict[str, Any] | None = Field(None, description="reason, code, enhanced (RFC 3463), message")
    timeline: list[dict[str, Any]] | None = Field(None, description="stage, at, attempt; oldest first")
    afterword: str | None = Field(None, description="what came of it after its end: confirmed")
    final: bool = Field(description="no more changes to come")


@blueprint.get("/tasks/<ticket>")
@limited_reads(READ)
@operation_id("task")
@tag(["tasks"])
@document_response(TaskBody, 200)
async def task(ticket: str) -> Response:
    """Tell where the task of this ticket is, if this browser or its account may know; else 404.

    Answers 304 to an `If-None-Match` with the ETag of an answer that still holds.
    """
    seen = await see(ticket)
    if seen is None:
        abort(404)
    body = json.dumps(seen.public)
    response = Response(body, content_type="application/json")
    response.set_etag(hashlib.sha256(body.encode()).hexdigest()[:20])
    response.headers["Cache-Control"] = "private, no-cache"
    return await response.make_conditional(request)
