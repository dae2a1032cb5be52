"""`/api/v1/mails`: all mails by the desk's searches, one row for each recipient. For keys of scope `full`."""

from typing import Any

from pydantic import BaseModel, Field
from quart import Blueprint, Response
from quart_schema import document_querystring, document_response, operation_id, tag

from mailroom.api_keys.errors import RestrictedKey
from mailroom.desk.search import InvalidSearch, MailSearch
from mailroom.i18n.sentences import error_text
from mailroom.kit import clock
from mailroom.kit.clock import iso
from mailroom.mail.models import Mail
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import ADMINISTERS, current_key, needs_key
from mailroom.web.api.queries import MOST_LISTED, Page, query_of
from mailroom.web.browser import services
from mailroom.web.program_answers import VALIDATION, ApiError, answer
from mailroom.web.rate_limits.limits import API, limited_reads

blueprint = Blueprint("mails_api", __name__, url_prefix="/api/v1/mails")


class MailQuery(Page):
    """Which mails."""

    search: str = Field("", description="as on the desk: `state:failed to:@example.org since:2h`")
    limit: int = Field(20, ge=1, le=MOST_LISTED, description="at most so many")


class MailShown(BaseModel):
    """One recipient's mail."""

    object: str = "mail"
    id: str
    message_id: str | None = Field(None, description="The id of `/emails`, where a program handed it in")
    kind: str
    to: str
    state: str
    reason: str | None = None
    code: int | None = None
    enhanced: str | None = None
    answer: str | None = None
    attempts: int
    stream: str
    created_at: str
    ended_at: str | None = None


class MailList(BaseModel):
    """Mails, the newest first."""

    object: str = "list"
    has_more: bool
    next: str | None = Field(None, description="`before` of the next page")
    looked_to: str | None = Field(None, description="How far back it looked, where it was stopped in time")
    data: list[MailShown]


@blueprint.get("")
@limited_reads(API)
@operation_id("searchMails")
@tag(["mails"])
@document_querystring(MailQuery)
@document_response(MailList, 200)
@refusals
@needs_key(ADMINISTERS)
async def search() -> Response:
    """Search all mails, with a key that is bound to no domain and is no test key."""
    key, now, asked = await current_key(), clock.now(), query_of(MailQuery)
    if key.sees_only_its_own:
        raise RestrictedKey("This API key sees its own mails only. GET /emails lists them.")
    try:
        wanted = MailSearch.parse(asked.search, now)
    except InvalidSearch as error:
        raise ApiError(422, VALIDATION, error_text(error), field="search") from None
    page = await services().mail_searches.page(wanted, now, before=asked.before_id, limit=asked.limit)
    return answer(
        {
            "object": "list",
            "has_more": page.next is not None,
            "next": str(page.next) if page.next else None,
            "looked_to": iso(page.looked_to),
            "data": [_shown(mail) for mail in page.rows],
        }
    )


def _shown(mail: Mail) -> dict[str, Any]:
    return {
        "object": "mail",
        "id": str(mail.id),
        "message_id": str(mail.message_id) if mail.message_id else None,
        "kind": mail.kind,
        "to": mail.recipient,
        "state": mail.state,
        "reason": mail.reason,
        "code": mail.code,
        "enhanced": mail.enhanced,
        "answer": mail.answer,
        "attempts": mail.attempt,
        "stream": mail.stream,
        "created_at": mail.created_at.isoformat(),
        "ended_at": iso(mail.ended_at),
    }
