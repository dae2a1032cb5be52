"""The second step of signing in, and signing in with a passkey alone.

Its page belongs to the browser that took the first step, and to nobody else: the sign-in waits in that session.
"""

from collections.abc import Mapping
from typing import Any

from quart import Blueprint, Response, jsonify, request

from mailroom.accounts import errors
from mailroom.web import browser
from mailroom.web.browser import current_or_new_session, current_session, services
from mailroom.web.forms.fields import StepCodeForm, check, sent_values
from mailroom.web.forms.notices import take_notice
from mailroom.web.forms.return_to import DEFAULT, safe_path
from mailroom.web.page import page, redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import FORM_ERRORS, Refused, refuse, take

blueprint = Blueprint("second_step", __name__)

PAGE = "/sign-in/second-step"


@blueprint.get(PAGE)
async def form() -> Response:
    """Show the form; a browser that has not taken the first step goes to that."""
    refused = take()
    return await _form(refused if refused.values else Refused({"next": safe_path(request.args.get("next"))}))


async def _form(refused: Refused) -> Response:
    try:
        choice = await services().sign_in_steps.choice(await current_session())
    except errors.NoPendingSignIn:
        return redirect("/sign-in")
    return await page(
        "second_step.html",
        refused.status,
        values=refused.values,
        messages=refused.messages,
        choice=choice,
        notice=take_notice(),
    )


@blueprint.post(PAGE)
@limits.limited(limits.SIGN_IN)
async def by_code() -> Response:
    """Take a code of the app or a recovery code, and sign in."""
    values = await sent_values()
    asked = safe_path(values.get("next"))
    try:
        sent = check(StepCodeForm, values)
        started = await services().sign_in_steps.by_code(await current_session(), sent.step_code, browser.origin())
    except FORM_ERRORS as error:
        return await refuse(error, _form, {"next": asked})
    browser.begin(started)
    return redirect(asked or DEFAULT)


@blueprint.post(f"{PAGE}/passkey/options")
@limits.limited(limits.CONFIRM)
async def step_options() -> Response:
    """Return what a passkey of the account is to sign."""
    return jsonify(await services().sign_in_steps.passkey_options(await current_session()))


@blueprint.post(f"{PAGE}/passkey")
@limits.limited(limits.SIGN_IN)
async def by_passkey() -> Response:
    """Check a passkey as the second step, and return the address to go on to."""
    values = await sent_values()
    started = await services().sign_in_steps.by_passkey(
        await current_session(), _credential(values), browser.origin()
    )
    browser.begin(started)
    return jsonify({"location": safe_path(values.get("next")) or DEFAULT})


@blueprint.post("/sign-in/passkey/options")
@limits.limited(limits.CONFIRM)
async def sign_in_options() -> Response:
    """Return what any passkey of this site is to sign."""
    return jsonify(await services().sign_in_steps.sign_in_options(await current_or_new_session()))


@blueprint.post("/sign-in/passkey")
@limits.limited(limits.SIGN_IN)
async def sign_in() -> Response:
    """Sign in with a passkey alone, and return the address to go on to."""
    values = await sent_values()
    started = await services().sign_in_steps.sign_in_by_passkey(
        await current_session(), _credential(values), browser.origin(), kept=bool(values.get("keep"))
    )
    browser.begin(started)
    return jsonify({"location": safe_path(values.get("next")) or DEFAULT})


def _credential(values: Mapping[str, Any]) -> Mapping[str, Any]:
    credential = values.get("credential")
    return credential if isinstance(credential, dict) else {}
