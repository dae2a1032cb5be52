"""Signing up, in and out."""

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.accounts.views import NewSession
from mailroom.web import browser, limits
from mailroom.web.browser import current_or_new_session, current_session, services
from mailroom.web.errors import wants_json
from mailroom.web.forms import Invalid, SignInForm, SignUpForm, check, sent_values
from mailroom.web.page import page, redirect

blueprint = Blueprint("accounts", __name__)

FIELD_OF = {errors.InvalidAddress: "email", errors.WeakPassword: "password", errors.TooLong: "password"}
"""Beside which field a refusal of the sign-up stands."""


@blueprint.get("/sign-up")
async def sign_up_form() -> Response:
    """Show the form; who is signed in has an account already."""
    session = await current_session()
    return (
        redirect("/account") if session and session.account else await page("sign_up.html", values={}, messages={})
    )


@blueprint.post("/sign-up")
@limits.limited(limits.SIGN_UP)
async def sign_up() -> Response:
    """Take a sign-up and go on to the page of its mail: the same for every address, known or not."""
    values = await sent_values()
    try:
        form = check(SignUpForm, values)
        try:
            session = await browser.current_session_or_new()
            ticket = await services().registration.sign_up(
                email=form.email, password=form.password, session=session
            )
        except tuple(FIELD_OF) as error:
            raise Invalid({FIELD_OF[type(error)]: str(error)}) from error
    except Invalid as error:
        if wants_json():
            raise
        return await page("sign_up.html", 422, values={"email": values.get("email", "")}, messages=error.messages)
    if isinstance(session, NewSession):
        browser.begin(session)
    return redirect(f"/mails/{ticket}")


@blueprint.get("/sign-in")
async def sign_in_form() -> Response:
    """Show the form."""
    session = await current_session()
    return (
        redirect("/account") if session and session.account else await page("sign_in.html", values={}, messages={})
    )


@blueprint.post("/sign-in")
@limits.limited(limits.SIGN_IN)
async def sign_in() -> Response:
    """Sign in, or say what was wrong beside the form; an address not confirmed yet gets a way to its mail."""
    values = await sent_values()
    shown = {"values": {"email": values.get("email", "")}}
    try:
        form = check(SignInForm, values)
        await limits.count_sign_in(form.email, services().settings)
        started = await services().authentication.sign_in(
            # A session also for a stranger: a right password before the confirmation leads to that mail's page.
            form.email,
            form.password,
            session=await current_or_new_session(),
            user_agent=browser.user_agent(),
        )
    except Invalid as error:
        if wants_json():
            raise
        return await page("sign_in.html", 422, messages=error.messages, **shown)
    except errors.NotConfirmed as error:
        if wants_json():
            raise
        return await page("sign_in.html", 422, messages={}, not_confirmed=error, **shown)
    except errors.WrongCredentials as error:
        if wants_json():
            raise
        return await page("sign_in.html", 422, messages={"password": str(error)}, **shown)
    browser.begin(started)
    return redirect("/account")


@blueprint.post("/sign-out")
@limits.limited(limits.CHANGE)
async def sign_out() -> Response:
    """End this browser's session."""
    session = await current_session()
    if session:
        await services().sessions.end(session.id)
    browser.forget()
    return redirect("/")
