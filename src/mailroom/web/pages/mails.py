"""The page of one mail on its way, live, and sending it again."""

from quart import Blueprint, Response, abort

from mailroom.accounts import errors, password_reset
from mailroom.kit.ids import parse_id
from mailroom.web import limits
from mailroom.web.browser import current_session, services
from mailroom.web.errors import in_words, wants_json
from mailroom.web.page import page, redirect
from mailroom.web.progress_view import view_of
from mailroom.web.watching import see

blueprint = Blueprint("mails", __name__)

OK = 200


@blueprint.get("/mails/<ticket>")
async def mail(ticket: str) -> Response:
    """Show where the mail is; complete without JavaScript."""
    return await mail_page(ticket) or abort(404)


@blueprint.post("/mails/<ticket>/resend")
@limits.limited(limits.RESEND)
async def resend(ticket: str) -> Response:
    """Send the sign-up's mail once more and go on to the new mail's page."""
    old, session = parse_id(ticket), await current_session()
    if old is None or session is None:
        raise errors.UnknownSignUp
    try:
        new = await services().registration.resend(ticket=old, session=session)
    except errors.TooSoon as error:
        said = f"{error} You can ask again in {in_words(error.seconds)}."
        shown = None if wants_json() else await mail_page(ticket, 429, resend_message=said)
        if shown is None:
            raise
        shown.headers["Retry-After"] = str(max(1, round(error.seconds)))
        return shown
    return redirect(f"/mails/{new}")


async def mail_page(
    ticket: str, status: int = 200, *, messages: dict[str, str] | None = None, resend_message: str = ""
) -> Response | None:
    """Return the page of a mail; None where the ticket is unknown or someone else's."""
    seen, session = await see(ticket), await current_session()
    if seen is None or session is None:
        return None
    if seen.task.name is not None:
        return redirect(f"/tasks/{seen.task.id}")
    wait = await services().registration.can_resend_in(seen.task.id, session)
    async with services().database.begin() as work:
        row = await services().outbox.find(work, seen.task.id)
    return await page(
        "mail.html",
        status,
        view=view_of(seen.public),
        title=seen.task.title,
        ticket=ticket,
        recipient=(row.typed_recipient or row.recipient) if row else "",
        resend_in=wait,
        asks_password=row is not None and row.kind in password_reset.KINDS,
        messages=messages or {},
        resend_message=resend_message,
        refreshes=status == OK and not seen.public["final"],
    )
