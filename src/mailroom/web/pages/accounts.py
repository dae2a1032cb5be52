"""Signing up, in and out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quart import Blueprint, Response, request

from mailroom.accounts import errors
from mailroom.accounts.sign_up import errors as joining
from mailroom.accounts.two_factor.site import PasskeySite
from mailroom.accounts.views import NewSession, SecondStepNeeded
from mailroom.web import browser
from mailroom.web.browser import current_or_new_session, current_session, services
from mailroom.web.errors import respond, wants_json
from mailroom.web.forms import sign_up_traps
from mailroom.web.forms.fields import Invalid, SignInForm, SignUpForm, check, sent_values
from mailroom.web.forms.notices import take_notice
from mailroom.web.forms.return_to import DEFAULT, safe_path, second_step_address
from mailroom.web.page import keep_private, page, redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import FORM_ERRORS, Refused, Show, messages_of, refuse, show_again, take, typed

blueprint = Blueprint("accounts", __name__)


@dataclass(frozen=True, slots=True)
class InvitedView:
    """Whom an invitation was sent to; `bound`: nobody else may use it."""

    email: str
    bound: bool


@blueprint.get("/sign-up")
async def sign_up_form() -> Response:
    """Show the form. Somebody who is signed in has an account already and is redirected to it."""
    session = await current_session()
    return redirect("/account") if session and session.account else await _sign_up_page(take())


async def _sign_up_page(refused: Refused, invited: InvitedView | None = None, invitation: str = "") -> Response:
    rule = services().settings.registration_rule
    if invited is None and not rule.takes_strangers:
        return await respond(joining.SignUpClosed() if rule.mode == "closed" else joining.InvitationNeeded())
    values = {"email": invited.email} | refused.values if invited else refused.values
    return await page(
        "sign_up.html",
        refused.status,
        values=values,
        messages=refused.messages,
        invited=invited,
        invitation=invitation,
        providers=services().settings.sign_in_providers,
        bait=sign_up_traps.BAIT,
        begun=refused.values.get(sign_up_traps.BEGUN) or sign_up_traps.stamp(),
    )


@blueprint.post("/sign-up")
@limits.limited(limits.SIGN_UP)
async def sign_up() -> Response:
    """Take a sign-up and go on to the page of its mail: the same for every address, known or not."""
    return await _sign_up(_sign_up_page)


@blueprint.get("/invited/<token>")
async def invited(token: str) -> Response:
    """Show the form to somebody who was invited. This does not use it up: mail scanners open links, too."""
    return keep_private(await _invited_page(token, take()))


@blueprint.post("/invited/<token>")
@limits.limited(limits.SIGN_UP)
async def sign_up_invited(token: str) -> Response:
    """Take a sign-up of somebody who was invited."""
    try:
        return keep_private(await _sign_up(lambda refused: _invited_page(token, refused), token))
    except errors.TokenError as error:
        return keep_private(await respond(error))


async def _invited_page(token: str, refused: Refused) -> Response:
    if services().settings.registration_rule.mode == "closed":
        return await respond(joining.SignUpClosed())
    try:
        async with services().database.begin() as work:
            found = await services().invitations.of_token(work, token)
    except errors.TokenError as error:
        return await respond(error)
    return await _sign_up_page(refused, InvitedView(found.email, found.bound), token)


async def _sign_up(show: Show, invitation: str | None = None) -> Response:
    values = await sent_values()
    kept = typed(values, "email", sign_up_traps.BEGUN)
    if messages := sign_up_traps.messages_for(values):
        return await refuse(Invalid(messages), show, kept)
    try:
        form = check(SignUpForm, values)
        session = await browser.current_session_or_new()
        ticket = await services().registration.sign_up(
            email=form.email, password=form.password, session=session, invitation=invitation
        )
    except FORM_ERRORS as error:
        messages = {**messages_of(error), **await _all_messages(values)}
        return await refuse(Invalid(messages), show, kept)
    if isinstance(session, NewSession):
        browser.begin(session)
    return redirect(f"/mails/{ticket}")


async def _all_messages(values: Mapping[str, Any]) -> dict[str, str]:
    """Return a message for each wrong field of a sign-up, so that people can mend all of them at once."""
    messages: dict[str, str] = {}
    try:
        check(SignUpForm, values)
    except Invalid as error:
        messages = error.messages
    found = await services().registration.refusals(
        email=None if "email" in messages else str(values["email"]),
        password=None if "password" in messages else str(values["password"]),
    )
    for refusal in found:
        messages |= messages_of(refusal)
    return messages


@blueprint.get("/sign-in")
async def sign_in_form() -> Response:
    """Show the form; it goes on to the page that asked for it (`next`), if that is one of ours."""
    session, asked = await current_session(), safe_path(request.args.get("next"))
    if session and session.account:
        return redirect(asked or DEFAULT)
    refused = take()
    return await _sign_in_page(refused if refused.values else Refused({"next": asked}))


async def _sign_in_page(refused: Refused) -> Response:
    values, mail = refused.values, refused.values.get("not_confirmed")
    return await page(
        "sign_in.html",
        refused.status,
        values=values,
        messages=refused.messages,
        notice=take_notice(),
        not_confirmed=None if mail is None else {"ticket": mail},
        has_passkeys=PasskeySite.of(services().settings.public_url).obstacle is None,
        providers=services().settings.sign_in_providers,
    )


@blueprint.post("/sign-in")
@limits.limited(limits.SIGN_IN, also=limits.by_address)
async def sign_in() -> Response:
    """Sign in, or show the form with what was wrong; for an unconfirmed address with a link to its mail's page."""
    values = await sent_values()
    asked = safe_path(values.get("next"))
    kept = {**typed(values, "email"), "next": asked, "keep": "yes" if values.get("keep") else ""}
    try:
        form = check(SignInForm, values)
        await services().sign_in_delays.take(form.email, browser.client().limited_as)
        started = await services().authentication.sign_in(
            # Strangers get a session, too: a right password before the confirmation leads to that mail's page.
            form.email,
            form.password,
            session=await current_or_new_session(),
            user_agent=browser.user_agent(),
            address=browser.client_address(),
            kept=bool(form.keep),
        )
    except errors.NotConfirmed as error:
        await services().sign_in_delays.clear(form.email, browser.client().limited_as)
        if wants_json():
            raise
        return await show_again(
            Refused({**kept, "not_confirmed": str(error.ticket or "")}, {}, 422), _sign_in_page
        )
    except FORM_ERRORS as error:
        if wants_json():
            raise
        return await show_again(Refused(kept, messages_of(error), 422), _sign_in_page)
    await services().sign_in_delays.clear(form.email, browser.client().limited_as)
    if isinstance(started, SecondStepNeeded):
        browser.begin(started.started)
        return redirect(second_step_address(asked))
    browser.begin(started)
    return redirect(asked or DEFAULT)


@blueprint.post("/sign-out")
@limits.limited(limits.CHANGE)
async def sign_out() -> Response:
    """End this browser's session."""
    session = await current_session()
    if session:
        await services().sessions.end(session.id)
    browser.forget()
    return redirect("/")
