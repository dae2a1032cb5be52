"""Leaving: asking for the deletion of one's account, and keeping it after all.

GET only ever shows pages: mail scanners open links and run what is there.
"""

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.i18n.sentences import error_text
from mailroom.web import browser, limits
from mailroom.web.browser import current_session, services
from mailroom.web.errors import respond, wants_json
from mailroom.web.forms import DeleteAccountForm, Invalid, check, sent_values
from mailroom.web.notices import redirect_with_notice
from mailroom.web.page import keep_private, page, redirect
from mailroom.web.refused import Refused, show_again, take
from mailroom.web.return_to import ask_to_sign_in

blueprint = Blueprint("leaving", __name__)


@blueprint.get("/account/delete")
async def form() -> Response:
    """Show what a deletion does, and ask for the password; or, where it is asked for, how to undo it."""
    return await _form(take())


async def _form(refused: Refused) -> Response:
    session = await current_session()
    if session is None or session.account is None:
        return ask_to_sign_in()
    if session.account.deletes_at:
        return await page("leaving.html", refused.status, account=session.account)
    return await page(
        "delete_account.html",
        refused.status,
        account=session.account,
        days_of_contents=services().settings.keep_bodies_days,
        days_of_rows=services().settings.keep_rows_days,
        values=refused.values,
        messages=refused.messages,
    )


@blueprint.post("/account/delete")
@limits.limited(limits.SIGN_IN)
async def ask() -> Response:
    """Begin the deletion; the present password is asked."""
    session = await current_session()
    if session is None or session.account is None:
        return ask_to_sign_in()
    try:
        password = check(DeleteAccountForm, await sent_values()).current
        await services().deletion.ask(session, password=password, origin=browser.origin())
    except (Invalid, errors.WrongCurrentPassword) as error:
        messages = error.messages if isinstance(error, Invalid) else {"current": error_text(error)}
        if wants_json():
            return await respond(Invalid(messages))
        return await show_again(Refused({}, messages, 422), _form)
    return redirect("/account/delete")


@blueprint.post("/account/delete/undo")
@limits.limited(limits.CHANGE)
async def undo() -> Response:
    """Keep the account that is signed in."""
    session = await current_session()
    if session is None or session.account is None:
        return ask_to_sign_in("/account/delete")
    await services().deletion.undo_own(session, origin=browser.origin())
    return redirect_with_notice("/account", "account-stays")


@blueprint.get("/keep-account/<token>")
async def link(token: str) -> Response:
    """Show which account the link keeps, and the button that does it."""
    try:
        leaving = await services().deletion.preview(token)
    except errors.AccountError as error:
        return keep_private(await respond(error))
    return keep_private(await page("keep_account.html", leaving=leaving))


@blueprint.post("/keep-account/<token>")
@limits.limited(limits.CONFIRM)
async def keep(token: str) -> Response:
    """Keep the account; nobody is signed in by that."""
    try:
        await services().deletion.undo_by_link(token, origin=browser.origin())
    except errors.AccountError as error:
        return keep_private(await respond(error))
    return keep_private(redirect_with_notice("/account", "account-stays"))
