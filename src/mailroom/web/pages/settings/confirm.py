"""The page on which members confirm that it is them (`web/recent_sign_in.py`), by password or passkey."""

from quart import Blueprint, Response, jsonify, request

from mailroom.accounts.views import Session
from mailroom.web import browser
from mailroom.web.browser import services
from mailroom.web.forms.fields import RecentForm, check, sent_values
from mailroom.web.forms.return_to import member
from mailroom.web.page import page, redirect
from mailroom.web.rate_limits import limits
from mailroom.web.recent_sign_in import PAGE, read_intent
from mailroom.web.refused import FORM_ERRORS, Refused, refuse, take

blueprint = Blueprint("recent", __name__)

AGAIN = f"{PAGE}/again"


@blueprint.get(PAGE)
async def form() -> Response:
    """Show the form."""
    session, _ = await member()
    return await show(session, str(request.args.get("intent", "")), take())


async def show(session: Session, intent: str, refused: Refused) -> Response:
    """Return the page with the form and what `refused` says."""
    assert session.account
    return await page(
        "settings/confirm.html",
        refused.status,
        intent=refused.values.get("intent", intent),
        messages=refused.messages,
        asks_code=session.account.has_two_steps,
        choice=await services().recent_sign_in.choice(session),
        providers=await services().provider_sign_ins.of_account(session),
    )


@blueprint.post(PAGE)
@limits.limited(limits.SIGN_IN, also=limits.by_member)
async def confirm() -> Response:
    """Take the password, and with two steps a code, and go on to what was wanted."""
    session, _ = await member()
    values = await sent_values()
    intent = str(values.get("intent", ""))[:4000]
    try:
        sent = check(RecentForm, values)
        await services().recent_sign_in.by_password(session, sent.current, sent.step_code, browser.origin())
    except FORM_ERRORS as error:
        return await refuse(error, lambda it: show(session, intent, it), {"intent": intent})
    return redirect(way_on(session, intent))


def way_on(session: Session, intent: str) -> str:
    """Return the address to go on to, once the owner has shown who it is."""
    wanted = read_intent(session, intent)
    return wanted.path if wanted.method == "GET" else f"{AGAIN}?intent={intent}"


@blueprint.get(AGAIN)
async def again() -> Response:
    """Show the form that was sent, with a button to send it once more: nothing is done without a press."""
    session, _ = await member()
    wanted = read_intent(session, request.args.get("intent"))
    if wanted.method == "GET":
        return redirect(wanted.path)
    return await page("settings/again.html", wanted=wanted)


@blueprint.post(f"{PAGE}/passkey/options")
@limits.limited(limits.CONFIRM)
async def passkey_options() -> Response:
    """Return what a passkey of the account is to sign."""
    session, _ = await member()
    return jsonify(await services().recent_sign_in.passkey_options(session))


@blueprint.post(f"{PAGE}/passkey")
@limits.limited(limits.CONFIRM)
async def passkey() -> Response:
    """Check a passkey, and return the address to go on to."""
    session, _ = await member()
    values = await sent_values()
    credential = values.get("credential")
    await services().recent_sign_in.by_passkey(session, credential if isinstance(credential, dict) else {})
    return jsonify({"location": way_on(session, str(values.get("intent", "")))})
