"""The page of one mail on its way, live, and sending it again."""

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.accounts.changes import password_reset
from mailroom.i18n.formats import duration
from mailroom.i18n.messages import gettext
from mailroom.i18n.sentences import text_of
from mailroom.kit.ids import parse_id
from mailroom.web.browser import current_session, services
from mailroom.web.error_table import NotShown
from mailroom.web.errors import wants_json
from mailroom.web.page import page, redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import Refused, show_again, take
from mailroom.web.views.progress_view import view_of
from mailroom.web.views.watching import see

blueprint = Blueprint("mails", __name__)


@blueprint.get("/mails/<ticket>")
async def mail(ticket: str) -> Response:
    """Show where the mail is. The page is complete without JavaScript."""
    return await mail_page(ticket, take()) or _not_shown()


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
        if wants_json() or await see(ticket) is None:
            raise
        wait = gettext("You can ask again in %(wait)s.", wait=duration(error.seconds))
        refused = Refused({}, {"resend": f"{error} {wait}"}, 429, max(1, round(error.seconds)))
        return await show_again(refused, lambda it: _mail_page_again(ticket, it), at=f"/mails/{ticket}")
    return redirect(f"/mails/{new}")


async def _mail_page_again(ticket: str, refused: Refused) -> Response:
    return await mail_page(ticket, refused) or _not_shown()


async def mail_page(ticket: str, refused: Refused) -> Response | None:
    """Return the page of a mail; None if the ticket is unknown or belongs to someone else."""
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
        refused.status,
        view=view_of(seen.public),
        title=text_of(seen.task.title, seen.task.title_params),
        ticket=ticket,
        recipient=(row.typed_recipient or row.recipient or "") if row else "",
        resend_in=None if seen.public.get("afterword") == "replaced" else wait,
        asks_password=row is not None and row.kind in password_reset.KINDS,
        values=refused.values,
        messages=refused.messages,
        resend_message=refused.messages.get("resend", ""),
        refreshes=not refused.messages and not seen.public["final"],
    )


def _not_shown() -> Response:
    raise NotShown
