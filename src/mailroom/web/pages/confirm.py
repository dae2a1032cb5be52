"""Confirming an address: by the mail's link, or by its code in the browser that signed up.

GET only shows a button: mail scanners open links, and must not confirm anything.
"""

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.i18n.messages import gettext
from mailroom.i18n.sentences import error_text
from mailroom.kit.ids import parse_id
from mailroom.web import browser
from mailroom.web.browser import current_session, services
from mailroom.web.errors import respond, wants_json
from mailroom.web.forms.fields import CodeForm, check, sent_values
from mailroom.web.forms.notices import redirect_with_notice
from mailroom.web.page import keep_private, page
from mailroom.web.pages.mails import mail_page
from mailroom.web.rate_limits import limits
from mailroom.web.refused import FORM_ERRORS, Refused, messages_of, show_again, take, typed
from mailroom.web.views.watching import see

blueprint = Blueprint("confirm", __name__)


@blueprint.get("/confirm")
async def code_form() -> Response:
    """Show the form for the code alone."""
    return await _code_page(take())


async def _code_page(refused: Refused) -> Response:
    return await page("code.html", refused.status, values=refused.values, messages=refused.messages)


@blueprint.post("/confirm")
@limits.limited(limits.CONFIRM)
async def by_code() -> Response:
    """Confirm by a typed code. A wrong code is reported beside its field, on the page where it was typed."""
    values = await sent_values()
    ticket = parse_id(str(values.get("ticket", "")))
    try:
        form = check(CodeForm, values)
        started = await services().confirmation.confirm_by_code(
            form.code, session=await current_session(), ticket=ticket, user_agent=browser.user_agent()
        )
    except FORM_ERRORS as error:
        if wants_json():
            raise
        status = 429 if isinstance(error, errors.TooManyTries) else 422
        kept = {**typed(values, "code"), "ticket": str(ticket or "")}
        there = ticket is not None and await see(str(ticket)) is not None
        return await show_again(
            Refused(kept, messages_of(error), status),
            _where_it_was_typed,
            at=f"/mails/{ticket}" if there else None,
        )
    browser.begin(started)
    return redirect_with_notice("/account", "welcome")


async def _where_it_was_typed(refused: Refused) -> Response:
    ticket = refused.values.get("ticket")
    return (await mail_page(ticket, refused) if ticket else None) or await _code_page(refused)


@blueprint.get("/confirm/<token>")
async def link(token: str) -> Response:
    """Show the address that the link confirms, and the button."""
    return keep_private(await _preview(token, take()))


@blueprint.post("/confirm/<token>")
@limits.limited(limits.CONFIRM)
async def by_link(token: str) -> Response:
    """Confirm. A browser that did not sign up must send the sign-up's password."""
    values = await sent_values()
    password = str(values.get("password", ""))[:1000] or None
    try:
        started = await services().confirmation.confirm(
            token, session=await current_session(), password=password, user_agent=browser.user_agent()
        )
    except errors.WrongPassword as error:
        if wants_json():
            return keep_private(await respond(error))
        said = error_text(error) if password else gettext("Please type the password that you signed up with.")
        again = await show_again(Refused({}, {"password": said}, 422), lambda refused: _preview(token, refused))
        return keep_private(again)
    except errors.AccountError as error:
        return keep_private(await respond(error))
    browser.begin(started)
    return keep_private(redirect_with_notice("/account", "welcome"))


async def _preview(token: str, refused: Refused) -> Response:
    try:
        confirmation = await services().confirmation.preview(token, await current_session())
    except errors.AccountError as error:
        return await respond(error)
    return await page("confirm.html", refused.status, confirmation=confirmation, messages=refused.messages)
