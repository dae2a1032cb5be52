"""A forgotten password: asking for a link by mail, and choosing a new password behind it.

GET only shows forms: mail scanners open links, and must not change anything.
"""

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.accounts.views import SecondStepNeeded
from mailroom.i18n.sentences import error_text
from mailroom.web import browser, limits
from mailroom.web.browser import current_or_new_session, current_session, services
from mailroom.web.errors import respond, wants_json
from mailroom.web.forms import AddressForm, Invalid, NewPasswordForm, check, sent_values
from mailroom.web.notices import redirect_with_notice
from mailroom.web.page import keep_private, page, redirect
from mailroom.web.refused import Refused, show_again, take
from mailroom.web.return_to import second_step_address

blueprint = Blueprint("password", __name__)


@blueprint.get("/new-password")
async def ask_form() -> Response:
    """Show the form; who is signed in finds the account's address in it."""
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
        try:
            ticket = await services().password_reset.ask(email=form.email, session=await current_or_new_session())
        except errors.InvalidAddress as error:
            raise Invalid({"email": error_text(error)}) from error
    except Invalid as error:
        if wants_json():
            raise
        return await show_again(
            Refused({"email": str(values.get("email", ""))[:400]}, error.messages, 422), _ask_page
        )
    return redirect(f"/mails/{ticket}")


@blueprint.get("/new-password/<token>")
async def link(token: str) -> Response:
    """Show the address of the account, and the field for the new password."""
    return keep_private(await _form(token, take()))


@blueprint.post("/new-password/<token>")
@limits.limited(limits.CONFIRM)
async def choose(token: str) -> Response:
    """Change the password; every browser is signed out but this one, which is signed in."""
    try:
        form = check(NewPasswordForm, await sent_values())
        started = await services().password_reset.reset(
            token,
            password=form.password,
            session=await current_session(),
            user_agent=browser.user_agent(),
            address=browser.client_address(),
        )
    except (Invalid, errors.WeakPassword) as error:
        refusal = error if isinstance(error, Invalid) else Invalid({"password": error_text(error)})
        if wants_json():
            return keep_private(await respond(refusal))
        refused = Refused({}, refusal.messages, 422)
        return keep_private(await show_again(refused, lambda it: _form(token, it)))
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
