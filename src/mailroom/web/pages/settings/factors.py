"""Two steps: the authenticator app, the recovery codes, and turning them on and off."""

from quart import Blueprint, Response

from mailroom.accounts.views import Session
from mailroom.web import browser
from mailroom.web.browser import services
from mailroom.web.forms.fields import StepCodeForm, check, sent_values
from mailroom.web.forms.notices import redirect_with_notice
from mailroom.web.page import page, redirect
from mailroom.web.rate_limits import limits
from mailroom.web.recent_sign_in import recent_member
from mailroom.web.refused import FORM_ERRORS, Refused, refuse, take

blueprint = Blueprint("factors", __name__)

SECURITY = "/account/security"
APP, CODES = "/account/two-steps/app", "/account/two-steps/codes"


@blueprint.post(APP)
@limits.limited(limits.CHANGE)
async def begin_app() -> Response:
    """Make a new secret for an authenticator app, and go on to the page that shows it."""
    session, _ = await recent_member()
    await services().factors.begin_app(session)
    return redirect(APP)


@blueprint.get(APP)
async def app_form() -> Response:
    """Show the secret as a picture and as text, and the field for the app's first code."""
    session, _ = await recent_member()
    return await _app_form(session, take())


async def _app_form(session: Session, refused: Refused) -> Response:
    secret = await services().factors.new_app(session)
    if secret is None:
        return redirect(SECURITY)
    import segno  # 2 MB, for a page that each member sees once

    picture = segno.make(secret.uri, error="m").svg_data_uri(scale=6, border=3, dark="#000", light="#fff")
    groups = " ".join(secret.text[at : at + 4] for at in range(0, len(secret.text), 4))
    return await page(
        "settings/app.html", refused.status, picture=picture, secret=groups, messages=refused.messages
    )


@blueprint.post(f"{APP}/prove")
@limits.limited(limits.CONFIRM)
async def prove_app() -> Response:
    """Check the app's first code. If two steps are not on yet, the recovery codes come next."""
    session, _ = await recent_member()
    try:
        sent = check(StepCodeForm, await sent_values())
        is_on = await services().factors.prove_app(session, sent.step_code, browser.origin())
    except FORM_ERRORS as error:
        return await refuse(error, lambda it: _app_form(session, it), at=APP)
    return redirect_with_notice(SECURITY, "app") if is_on else redirect(CODES)


@blueprint.post(f"{APP}/remove")
@limits.limited(limits.CHANGE)
async def remove_app() -> Response:
    """Forget the app."""
    session, _ = await recent_member()
    await services().factors.remove_app(session, browser.origin())
    return redirect(SECURITY)


@blueprint.get(CODES)
async def codes_form() -> Response:
    """Show the button that makes recovery codes, or the field for one of those that were made."""
    session, _ = await recent_member()
    return await _codes_form(session, take())


async def _codes_form(session: Session, refused: Refused) -> Response:
    factors = services().factors
    overview, is_made = await factors.overview(session), await factors.has_new_codes(session)
    if not overview.has_factor:
        return redirect(SECURITY)
    return await page(
        "settings/codes.html",
        refused.status,
        codes=[],
        is_made=is_made,
        is_on=overview.on_since is not None,
        messages=refused.messages,
    )


@blueprint.post(CODES)
@limits.limited(limits.CHANGE)
async def make_codes() -> Response:
    """Make recovery codes and show them, this once."""
    session, account = await recent_member()
    codes = await services().factors.make_codes(session)
    return await page(
        "settings/codes.html",
        codes=codes,
        is_made=True,
        is_on=account.has_two_steps,
        messages={},
    )


@blueprint.post(f"{CODES}/prove")
@limits.limited(limits.CONFIRM)
async def prove_codes() -> Response:
    """Check one of the new codes. From then on the new codes are valid, and two steps are on."""
    session, _ = await recent_member()
    try:
        sent = check(StepCodeForm, await sent_values())
        turned_on = await services().factors.prove_codes(session, sent.step_code, browser.origin())
    except FORM_ERRORS as error:
        return await refuse(error, lambda it: _codes_form(session, it), at=CODES)
    return redirect_with_notice(SECURITY, "two-steps" if turned_on else "codes")


@blueprint.post("/account/two-steps/off")
@limits.limited(limits.CHANGE)
async def turn_off() -> Response:
    """Turn two steps off."""
    session, _ = await recent_member()
    await services().factors.turn_off(session, browser.origin())
    return redirect(SECURITY)
