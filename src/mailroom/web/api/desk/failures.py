"""Failures in groups for programs, each with the search that `/mails/actions` takes."""

from typing import Literal

from pydantic import BaseModel, Field
from quart import Blueprint, Response
from quart_schema import document_querystring, document_response, operation_id, tag

from mailroom.desk.as_json import failures_json
from mailroom.web.api.desk.asked import reader
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import LOOKS_AT_ALL, needs_key
from mailroom.web.api.queries import Query, query_of
from mailroom.web.browser import services
from mailroom.web.desk.failures import TIMES
from mailroom.web.program_answers import answer
from mailroom.web.rate_limits.limits import ACTS, limited_reads

blueprint = Blueprint("desk_api_failures", __name__, url_prefix="/api/v1/desk/failures")


class FailuresQuery(Query):
    """How far back to look."""

    since: Literal["1h", "24h", "7d", "30d"] = "24h"


class GroupShown(BaseModel):
    """Mails in trouble for one cause."""

    reason: str
    code: int | None
    enhanced: str | None
    domain: str
    states: dict[str, int] = Field(description="how many are in each state")
    first: str | None
    last: str | None
    recovered: int = Field(description="mails that failed like this once, and were sent in a later attempt")
    example: str | None = Field(description="the id of the newest")
    answer: str = Field(description="what the mail server said to it")
    search: str = Field(description="finds these mails; `/mails/actions` sends them again or cancels them")


class TaskGroupShown(BaseModel):
    """Background tasks that failed alike."""

    name: str
    error: str
    place: str
    count: int
    example: str | None


class FailuresShown(BaseModel):
    """The groups, the largest first."""

    object: str = "list"
    since: str
    complete: bool = Field(description="false where there were more than are grouped")
    mails: list[GroupShown]
    tasks: list[TaskGroupShown]


@blueprint.get("")
@limited_reads(ACTS)
@operation_id("deskFailures")
@tag(["desk"])
@document_querystring(FailuresQuery)
@document_response(FailuresShown, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def failures() -> Response:
    """List failures and troubled mails in groups. Ten requests a minute are allowed: each may take seconds."""
    seen, since = (await reader()).seen, query_of(FailuresQuery).since
    found = await services().failure_report.groups(TIMES[since])
    return answer({"object": "list", **failures_json(found, seen)})
