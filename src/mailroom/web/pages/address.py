"""Changing the address of an account, and confirming the new one by the link of its mail.

GET only ever shows pages: mail scanners open links and run what is there.
"""

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.accounts.views import Session
from mailroom.web import browser
from mailroom.web.browser import current_session, services
from mailroom.web.errors import respond
from mailroom.web.forms.fields import ChangeAddressForm, OtherAddressForm, check, sent_values
from mailroom.web.forms.notices import redirect_with_notice
from mailroom.web.page import keep_private, page, redirect
from mailroom.web.pages.present_password import form_of_change, who_changes
from mailroom.web.rate_limits import limits
from mailroom.web.refused import FORM_ERRORS, Refused, refuse, take, typed

blueprint = Blueprint("address", __name__)


@blueprint.get("/account/address")
async def address_form() -> Response:
    """Show the form that asks for another address."""
    session, asks_password = await who_changes()
    return await _form(session, take(), asks_password=asks_password)


async def _form(session: Session, refused: Refused, *, asks_password: bool) -> Response:
    return await form_of_change("change_address.html", "/account/address", session, refused, asks_password)


@blueprint.post("/account/address")
@limits.limited(limits.SIGN_IN)
async def ask() -> Response:
    """Send a mail to the new address, and go on to its page: the same for every address, known or not."""
    session, asks_password = await who_changes()
    values = await sent_values()
    try:
        asked = ChangeAddressForm if asks_password else OtherAddressForm
        form = check(asked, values)
        ticket = await services().address_changes.ask(
            session, email=form.email, password=form.current, origin=browser.origin()
        )
    except FORM_ERRORS as error:
        return await refuse(
            error, lambda it: _form(session, it, asks_password=asks_password), typed(values, "email")
        )
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
