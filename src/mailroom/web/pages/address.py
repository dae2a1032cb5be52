"""Changing the address of an account, and confirming the new one by the link of its mail.

GET only ever shows pages: mail scanners open links and run what is there.
"""

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.web import browser, limits
from mailroom.web.browser import current_session, services
from mailroom.web.errors import respond
from mailroom.web.forms import ChangeAddressForm, check, sent_values
from mailroom.web.notices import redirect_with_notice
from mailroom.web.page import keep_private, page, redirect
from mailroom.web.refused import FORM_ERRORS, Refused, refuse, take, typed
from mailroom.web.return_to import member

blueprint = Blueprint("address", __name__)


@blueprint.get("/account/address")
async def address_form() -> Response:
    """Show the form that asks for another address."""
    await member()
    return await _form(take())


async def _form(refused: Refused) -> Response:
    return await page("change_address.html", refused.status, values=refused.values, messages=refused.messages)


@blueprint.post("/account/address")
@limits.limited(limits.SIGN_IN)
async def ask() -> Response:
    """Send a mail to the new address, and go on to its page: the same for every address, known or not."""
    session, _ = await member()
    values = await sent_values()
    try:
        form = check(ChangeAddressForm, values)
        ticket = await services().address_changes.ask(
            session, email=form.email, password=form.current, origin=browser.origin()
        )
    except FORM_ERRORS as error:
        return await refuse(error, _form, typed(values, "email"))
    return redirect(f"/mails/{ticket}")


@blueprint.get("/new-address/<token>")
async def link(token: str) -> Response:
    """Show the new address, and the button that confirms it."""
    try:
        email = await services().address_changes.preview(token, await current_session())
    except errors.AccountError as error:
        return keep_private(await respond(error))
    return keep_private(await page("new_address.html", email=email))


@blueprint.post("/new-address/<token>")
@limits.limited(limits.CONFIRM)
async def confirm(token: str) -> Response:
    """Change the address of the account that is signed in."""
    try:
        await services().address_changes.confirm(token, session=await current_session(), origin=browser.origin())
    except errors.AccountError as error:
        return keep_private(await respond(error))
    return keep_private(redirect_with_notice("/account/security", "new-address"))
