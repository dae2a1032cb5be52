"""Adding and removing passkeys."""

from quart import Blueprint, Response, abort, jsonify

from mailroom.kit.ids import parse_id
from mailroom.web import browser
from mailroom.web.browser import services
from mailroom.web.forms.fields import sent_values
from mailroom.web.page import page, redirect
from mailroom.web.pages.settings.factors import CODES, SECURITY
from mailroom.web.rate_limits import limits
from mailroom.web.recent_sign_in import recent_member

blueprint = Blueprint("passkeys", __name__)

PAGE = "/account/passkeys"


@blueprint.get(PAGE)
async def form() -> Response:
    """Show the form that adds a passkey."""
    session, _ = await recent_member()
    overview = await services().factors.overview(session)
    return redirect(SECURITY) if overview.passkeys_obstacle else await page("settings/passkey.html")


@blueprint.post(f"{PAGE}/options")
@limits.limited(limits.CONFIRM)
async def options() -> Response:
    """Return what a new passkey is made from."""
    session, _ = await recent_member()
    return jsonify(await services().factors.passkey_options(session))


@blueprint.post(PAGE)
@limits.limited(limits.CONFIRM)
async def add() -> Response:
    """Save a new passkey, and return the address to go on to."""
    session, _ = await recent_member()
    values = await sent_values()
    credential = values.get("credential")
    is_on = await services().factors.add_passkey(
        session,
        credential if isinstance(credential, dict) else {},
        name=str(values.get("name", "")),
        origin=browser.origin(),
    )
    return jsonify({"location": SECURITY if is_on else CODES})


@blueprint.post(f"{PAGE}/<passkey_id>/remove")
@limits.limited(limits.CHANGE)
async def remove(passkey_id: str) -> Response:
    """Forget a passkey of the account."""
    session, _ = await recent_member()
    found = parse_id(passkey_id)
    if found is None:
        abort(404)
    await services().factors.remove_passkey(session, found, browser.origin())
    return redirect(SECURITY)
