"""The audit log for programs, newest first, by page."""

from typing import Any

from pydantic import BaseModel, Field
from quart import Blueprint, Response
from quart_schema import document_querystring, document_response, operation_id, tag

from mailroom.desk.as_json import entry_json
from mailroom.kit.database import LARGEST_BIGINT
from mailroom.kit.ids import parse_id
from mailroom.web.api.desk.asked import reader, wrong
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import LOOKS_AT_ALL, needs_key
from mailroom.web.api.queries import MOST_LISTED, Query, query_of
from mailroom.web.browser import services
from mailroom.web.desk.audit import LONGEST
from mailroom.web.program_answers import answer
from mailroom.web.rate_limits.limits import READ, limited_reads

blueprint = Blueprint("desk_api_audit", __name__, url_prefix="/api/v1/desk/audit")


class AuditQuery(Query):
    """Which entries."""

    actor: str | None = Field(None, description="the id of an account or key")
    target: str | None = Field(None, max_length=LONGEST, description="what it was done to")
    action: str | None = Field(None, max_length=LONGEST, description="account.locked, say")
    before: int | None = Field(None, ge=1, le=LARGEST_BIGINT, description="`next` of the page before")
    limit: int = Field(50, ge=1, le=MOST_LISTED)


class EntryShown(BaseModel):
    """Who did what, on what, from where, when."""

    number: int
    at: str
    actor: str = Field(description="account, key, shell or mailroom")
    actor_id: str | None
    actor_name: str
    action: str
    target: str | None
    target_id: str | None
    client: str | None = Field(description="the network address; for scope `full`")
    details: dict[str, Any]


class EntryList(BaseModel):
    """Entries, the newest first."""

    object: str = "list"
    has_more: bool
    next: int | None = Field(description="`before` of the next page")
    data: list[EntryShown]


@blueprint.get("")
@limited_reads(READ)
@operation_id("deskAudit")
@tag(["desk"])
@document_querystring(AuditQuery)
@document_response(EntryList, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def audit() -> Response:
    """List what operators, keys and the shell did, the newest first."""
    asked, looks = query_of(AuditQuery), await reader()
    actor = None
    if asked.actor is not None:
        actor = parse_id(asked.actor) or wrong("actor", "Give the id of an account or key.")
    async with services().database.begin() as work:
        found = await services().audit_log.entries(
            work,
            actor_id=actor,
            target_id=asked.target,
            action=asked.action,
            before=asked.before,
            limit=asked.limit + 1,
        )
    shown, more = found[: asked.limit], len(found) > asked.limit
    return answer(
        {
            "object": "list",
            "has_more": more,
            "next": shown[-1].id if more else None,
            "data": [entry_json(entry, looks.seen, client=looks.whole) for entry in shown],
        }
    )
