"""A forgotten password: asking for a link by mail, and choosing a new password behind it.

GET only shows forms: mail scanners open links, and must not change anything.
"""

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.accounts.views import SecondStepNeeded
from mailroom.web import browser
from mailroom.web.browser import current_or_new_session, current_session, services
from mailroom.web.errors import respond
from mailroom.web.forms.fields import AddressForm, NewPasswordForm, check, sent_values
from mailroom.web.forms.notices import redirect_with_notice
from mailroom.web.forms.return_to import second_step_address
from mailroom.web.page import keep_private, page, redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import FORM_ERRORS, Refused, refuse, take, typed

blueprint = Blueprint("password", __name__)


@blueprint.get("/new-password")
async def ask_form() -> Response:
    """Show the form. For somebody who is signed in, it holds the address of the account."""
    session, refused = await current_session(), take()
    if not refused.values and session and session.account:
        refused = Refused({"email": session.account.email})
    return await _ask_page(refused)


async def _ask_page(refused: Refused) -> Response:
    return await page("forgot_password.html", refused.status, values=refused.values, messages=refused.messages)


@blueprint.post("/new-password")
@limits.limited(limits.SIGN_UP)
async def ask() -> Response:
    """Send a link and go on to the page of its mail: the same for every address, known or not."""
    values = await sent_values()
    try:
        form = check(AddressForm, values)
        ticket = await services().password_reset.ask(email=form.email, session=await current_or_new_session())
    except FORM_ERRORS as error:
        return await refuse(error, _ask_page, typed(values, "email"))
    return redirect(f"/mails/{ticket}")


@blueprint.get("/new-password/<token>")
async def link(token: str) -> Response:
    """Show the address of the account, and the field for the new password."""
    return keep_private(await _form(token, take()))


@blueprint.post("/new-password/<token>")
@limits.limited(limits.CONFIRM)
async def choose(token: str) -> Response:
    """Change the password, sign out every other browser, and sign this one in."""
    try:
        form = check(NewPasswordForm, await sent_values())
        started = await services().password_reset.reset(
            token,
            password=form.password,
            session=await current_session(),
            user_agent=browser.user_agent(),
            address=browser.client_address(),
        )
    except FORM_ERRORS as error:
        return keep_private(await refuse(error, lambda refused: _form(token, refused)))
    except errors.AccountError as error:
        return keep_private(await respond(error))
    if isinstance(started, SecondStepNeeded):
        browser.begin(started.started)
        return keep_private(redirect_with_notice(second_step_address(""), "new-password"))
    browser.begin(started)
    return keep_private(redirect_with_notice("/account", "new-password"))


async def _form(token: str, refused: Refused) -> Response:
    try:
        email = await services().password_reset.preview(token)
    except errors.AccountError as error:
        return await respond(error)
    return await page("new_password.html", refused.status, email=email, messages=refused.messages)
