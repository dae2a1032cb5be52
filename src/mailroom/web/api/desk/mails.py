"""One mail of any sender, for programs: show it, send it again, cancel it. The search is `/mails`."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from quart import Blueprint, Response
from quart_schema import document_response, operation_id, tag

from mailroom.i18n.sentences import error_text
from mailroom.kit.clock import iso
from mailroom.kit.database import UnitOfWork
from mailroom.mail.administration import NotPossible, UnknownMail
from mailroom.mail.kinds import UnknownKind
from mailroom.mail.rendering.renderer import BrokenMail
from mailroom.web.api.desk.asked import Reader, actor, id_of, reader
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import ACTS_ON_ALL, LOOKS_AT_ALL, needs_key
from mailroom.web.browser import services
from mailroom.web.program_answers import VALIDATION, ApiError, answer
from mailroom.web.rate_limits.limits import API, READ, limited_reads

blueprint = Blueprint("desk_api_mails", __name__, url_prefix="/api/v1/desk/mails")

UNKNOWN = "There is no such mail."


class AttemptShown(BaseModel):
    """One attempt to hand a mail over."""

    attempt: int
    server: str | None
    claimed_at: str | None
    connected_at: str | None
    handing_over_at: str | None
    ended_at: str | None
    outcome: str | None
    reason: str | None
    code: int | None
    enhanced: str | None
    answer: str | None


class EventShown(BaseModel):
    """What happened to a mail."""

    type: str
    at: str
    source: str | None
    code: int | None
    diagnostic: str | None


class DeskMailShown(BaseModel):
    """One recipient's mail, with all that is known of it except its contents."""

    object: str = "mail"
    id: str
    message_id: str | None = Field(description="the id of `/emails`, where a program handed it in")
    key: str | None = Field(description="the name of that program's key")
    kind: str
    to: str | None = Field(description="null where the account was deleted")
    state: str
    held: bool = Field(description="true where it waits for a person's decision")
    reason: str | None
    code: int | None
    enhanced: str | None
    answer: str | None
    stream: str
    created_at: str
    next_attempt_at: str | None
    ended_at: str | None
    attempts: list[AttemptShown]
    events: list[EventShown]


class ContentShown(BaseModel):
    """What a mail looks like. In Mailroom's own mails, links and codes that give access are masked."""

    object: str = "mail_content"
    id: str
    subject: str
    text: str = Field(description="empty where it has none")
    html: str = Field(description="empty where it has none; pictures are data: links")


class MailActed(BaseModel):
    """The mail that was changed or sent again."""

    object: str = "mail"
    id: str
    copy_id: str | None = Field(None, description="of a copy that is sent")


@blueprint.get("/<mail_id>")
@limited_reads(READ)
@operation_id("deskMail")
@tag(["desk"])
@document_response(DeskMailShown, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def look_up(mail_id: str) -> Response:
    """Show a mail with its attempts and events; `/content` has what it looks like."""
    found, looks = id_of(mail_id, UNKNOWN), await reader()
    try:
        async with services().database.begin() as work:
            details = await services().mail_desk.details(work, found)
    except UnknownMail:
        raise ApiError(404, "not_found", UNKNOWN) from None
    mail = details.mail
    return answer(
        {
            "object": "mail",
            "id": str(mail.id),
            "message_id": str(mail.message_id) if mail.message_id else None,
            "key": details.key_name,
            "kind": mail.kind,
            "to": _text(mail.recipient, looks),
            "state": mail.state,
            "held": mail.held,
            "reason": mail.reason,
            "code": mail.code,
            "enhanced": mail.enhanced,
            "answer": _text(mail.answer, looks),
            "stream": mail.stream,
            "created_at": iso(mail.created_at),
            "next_attempt_at": iso(mail.next_attempt_at),
            "ended_at": iso(mail.ended_at),
            "attempts": [_attempt(one, looks) for one in details.attempts],
            "events": [
                {
                    "type": one.type,
                    "at": iso(one.at),
                    "source": one.source,
                    "code": one.code,
                    "diagnostic": _text(one.diagnostic, looks),
                }
                for one in details.events
            ],
        }
    )


@blueprint.get("/<mail_id>/content")
@limited_reads(READ)
@operation_id("deskMailContent")
@tag(["desk"])
@document_response(ContentShown, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def content(mail_id: str) -> Response:
    """Show what a mail looks like. This takes the scope `full`."""
    found, desk = id_of(mail_id, UNKNOWN), services().mail_desk
    try:
        async with services().database.begin() as work:
            shown = await desk.preview(work, (await desk.details(work, found)).mail)
    except UnknownMail:
        raise ApiError(404, "not_found", UNKNOWN) from None
    except (BrokenMail, UnknownKind) as error:
        raise ApiError(422, VALIDATION, f"This mail cannot be rendered: {error}") from None
    if shown is None:
        raise ApiError(404, "not_found", "The contents of this mail are no longer kept.")
    return answer(
        {
            "object": "mail_content",
            "id": str(found),
            "subject": shown.subject,
            "text": shown.text,
            "html": shown.html,
        }
    )


def _text(text: str | None, looks: Reader) -> str | None:
    return None if text is None else looks.seen(text)


def _attempt(one: Any, looks: Reader) -> dict[str, Any]:
    times = ("claimed_at", "connected_at", "handing_over_at", "ended_at")
    facts = ("attempt", "server", "outcome", "reason", "code", "enhanced")
    return {
        **{name: getattr(one, name) for name in facts},
        **{name: iso(getattr(one, name)) for name in times},
        "answer": _text(one.answer, looks),
    }


@blueprint.post("/<mail_id>/retry")
@limited_reads(API)
@operation_id("deskRetryMail")
@tag(["desk"])
@document_response(MailActed, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def retry(mail_id: str) -> Response:
    """Retry a mail that ended unsent or still waits: queue it again."""
    return await _act(mail_id, "mail.retried", services().mail_administration.retry)


@blueprint.post("/<mail_id>/cancel")
@limited_reads(API)
@operation_id("deskCancelMail")
@tag(["desk"])
@document_response(MailActed, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def cancel(mail_id: str) -> Response:
    """Cancel a mail that is not being sent."""
    return await _act(mail_id, "mail.cancelled", services().mail_administration.cancel)


@blueprint.post("/<mail_id>/again")
@limited_reads(API)
@operation_id("deskSendMailAgain")
@tag(["desk"])
@document_response(MailActed, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def again(mail_id: str) -> Response:
    """Send a copy of a mail that was sent for another program."""
    return await _act(mail_id, "mail.sent_again", services().mail_desk.send_again)


async def _act(mail_id: str, action: str, act: Callable[[UnitOfWork, UUID], Awaitable[Any]]) -> Response:
    found = id_of(mail_id, UNKNOWN)
    try:
        copy = await services().acts.act_on(await actor(), action, act, found)
    except UnknownMail:
        raise ApiError(404, "not_found", UNKNOWN) from None
    except NotPossible as error:
        raise ApiError(422, VALIDATION, error_text(error)) from None
    return answer({"object": "mail", "id": str(found), "copy_id": str(copy) if copy else None})
