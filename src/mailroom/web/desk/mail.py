"""One mail: its state, each attempt with the server's words, its contents, similar mails, and what can be done."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from quart import Blueprint, Response, abort

from mailroom.accounts.views import AccountView
from mailroom.desk.mail_details import MailDetails
from mailroom.desk.search import MailSearch
from mailroom.i18n.messages import translated
from mailroom.i18n.sentences import error_text, in_words, sentence
from mailroom.kit import clock
from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import parse_id
from mailroom.mail.administration import CANCELLABLE, RETRYABLE, NotPossible, UnknownMail
from mailroom.mail.kinds import UnknownKind
from mailroom.mail.messages.rows import KIND
from mailroom.mail.models import Mail
from mailroom.mail.rendering.previews import Preview
from mailroom.mail.rendering.renderer import BrokenMail
from mailroom.mail.states import State, message_code
from mailroom.mail.views import snapshot_of_row
from mailroom.progress.moods import mood_of
from mailroom.web.browser import services
from mailroom.web.desk.access import actor_of, masked, operator, staff
from mailroom.web.desk.frame import desk_page
from mailroom.web.desk.kind_words import kind_word
from mailroom.web.desk.mail_lines import MailLine, mail_lines, recipient_of, without_code
from mailroom.web.desk.mails import address
from mailroom.web.desk.state_machine import picture
from mailroom.web.errors import respond, wants_json
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import Refused, show_again, take
from mailroom.web.views.words import EVENTS, STATES
from mailroom.webhooks.payloads import MAIL_EVENTS

blueprint = Blueprint("desk_mail", __name__, url_prefix="/desk/mails")

RELATED = 5
CONTENT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
)
"""What a mail's HTML may do in its frame: use its own styles, but load, run and open nothing."""


@blueprint.get("/<mail_id>")
async def mail(mail_id: str) -> Response:
    """Show one mail."""
    return await _page(mail_id, take())


async def _page(mail_id: str, refused: Refused) -> Response:
    account, details = await staff(), await _details(mail_id)
    found, whole = details.mail, account.is_operator
    snapshot = snapshot_of_row(found, details.attempts)
    timeline = in_words(snapshot.public(owner=True, operator=True)).get("timeline") or ()
    preview, broken = await _preview(found) if whole else (None, "")
    return await desk_page(
        "desk/mail.html",
        refused.status,
        mail=found,
        details=details,
        recipient=recipient_of(found, whole=whole),
        title=(preview.subject if preview else "") or kind_word(found.kind),
        kind=kind_word(found.kind),
        word=translated(STATES[found.state].word),
        mood=mood_of(found.state),
        reason=sentence(message_code(found.reason, held=found.held)) if found.reason else "",
        picture=picture(found.state, _passed(details)),
        attempts=[_attempt(one, whole=whole) for one in details.attempts],
        timeline=[
            (one["at"], translated(EVENTS.get(one["stage"], one["stage"])), one.get("attempt", 0))
            for one in timeline
        ],
        events=[
            (
                event.at,
                MAIL_EVENTS.get(event.type, event.type),
                event.source,
                event.code,
                _seen(event.diagnostic, whole=whole),
            )
            for event in details.events
        ],
        preview=preview,
        broken=broken,
        related=await _related(found, account) if whole else [],
        same_recipient=address(f"to:{found.recipient} since:all") if whole and found.recipient else None,
        same_failure=address(same_failure(found)) if found.code and found.state != State.SENT else None,
        can_retry=found.state in RETRYABLE,
        can_cancel=found.state in CANCELLABLE,
        can_send_again=found.state == State.SENT and found.kind == KIND,
        message=refused.messages.get("act", ""),
    )


def same_failure(found: Mail) -> str:
    """Return the search for mails that failed like this one."""
    facts = [f"code:{found.code}", f"enhanced:{found.enhanced}" if found.enhanced else ""]
    return " ".join(["state:failed,expired,retrying,uncertain", *filter(None, facts)])


async def _details(mail_id: str) -> MailDetails:
    found = parse_id(mail_id)
    if found is None:
        abort(404)
    try:
        async with services().database.begin() as work:
            return await services().mail_desk.details(work, found)
    except UnknownMail:
        abort(404)


def _seen(text: str | None, *, whole: bool) -> str:
    return (text or "") if whole else masked(text or "")


def _passed(details: MailDetails) -> list[str]:
    """Return the states that the mail has been in before this one, in order."""
    mail = details.mail
    states: list[str] = [State.SCHEDULED if mail.created_at and mail.reason == "limited" else State.QUEUED]
    for attempt in details.attempts:
        states.append(State.SENDING)
        if (attempt.outcome and attempt is not details.attempts[-1]) or (
            attempt.outcome and attempt.outcome != mail.state
        ):
            states.append(attempt.outcome)
    return states if states[-1] != mail.state else states[:-1]


def _attempt(attempt: Any, *, whole: bool) -> dict[str, Any]:
    outcome = attempt.outcome
    return {
        "number": attempt.attempt,
        "worker": attempt.worker if whole else "",
        "server": attempt.server or "",
        "times": [
            (translated(EVENTS[stage]), at)
            for stage, at in (
                ("claimed", attempt.claimed_at),
                ("connected", attempt.connected_at),
                ("handing over", attempt.handing_over_at),
            )
            if at
        ],
        "ended_at": attempt.ended_at,
        "word": translated(STATES[outcome].word) if outcome in STATES else "",
        "mood": mood_of(outcome or "sending"),
        "codes": " ".join(str(part) for part in (attempt.code, attempt.enhanced) if part),
        "answer": without_code(_seen(attempt.answer, whole=whole), attempt.enhanced),
        "reason": sentence(message_code(attempt.reason)) if attempt.reason else "",
    }


async def _preview(found: Mail) -> tuple[Preview | None, str]:
    """Return what the mail looks like, or why it cannot be rendered."""
    try:
        async with services().database.begin() as work:
            return await services().mail_desk.preview(work, found), ""
    except BrokenMail as error:
        return None, str(error)
    except UnknownKind as error:
        return None, f"{error}: UnknownKind"


async def _related(found: Mail, account: AccountView) -> list[MailLine]:
    now = clock.now()
    if found.recipient is None:
        return []
    search = MailSearch.of({"to": found.recipient, "since": "all"}, (), now)
    page = await services().mail_searches.page(search, now, limit=RELATED + 1)
    others = [one for one in page.rows if one.id != found.id][:RELATED]
    async with services().database.begin() as work:
        return await mail_lines(work, others, whole=account.is_operator)


@blueprint.get("/<mail_id>/content")
async def content(mail_id: str) -> Response:
    """Give the mail's HTML for its sandboxed frame; operators only."""
    await operator()
    preview, _ = await _preview((await _details(mail_id)).mail)
    if preview is None or not preview.html:
        abort(404)
    response = Response(preview.html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = CONTENT_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


@blueprint.post("/<mail_id>/retry")
@limits.limited(limits.CHANGE)
async def retry(mail_id: str) -> Response:
    """Retry a mail that ended unsent or still waits: queue it again."""
    return await _act(mail_id, "mail.retried", services().mail_administration.retry)


@blueprint.post("/<mail_id>/cancel")
@limits.limited(limits.CHANGE)
async def cancel(mail_id: str) -> Response:
    """Cancel a mail that is not being sent."""
    return await _act(mail_id, "mail.cancelled", services().mail_administration.cancel)


@blueprint.post("/<mail_id>/again")
@limits.limited(limits.CHANGE)
async def again(mail_id: str) -> Response:
    """Send a copy of a mail that was sent, and go on to the copy."""
    return await _act(mail_id, "mail.sent_again", services().mail_desk.send_again)


async def _act(mail_id: str, action: str, act: Callable[[UnitOfWork, UUID], Awaitable[Any]]) -> Response:
    account, found = await operator(), parse_id(mail_id)
    if found is None:
        abort(404)
    try:
        copy = await services().acts.act_on(actor_of(account), action, act, found)
    except UnknownMail:
        abort(404)
    except NotPossible as error:
        if wants_json():
            return await respond(error)
        refused = Refused({}, {"act": error_text(error)}, 409)
        return await show_again(refused, lambda it: _page(mail_id, it), at=f"/desk/mails/{found}")
    return redirect(f"/desk/mails/{copy or found}")
