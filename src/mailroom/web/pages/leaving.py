"""Leaving: asking for the deletion of one's account, and keeping it after all.

GET only ever shows pages: mail scanners open links and run what is there.
"""

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.web import browser
from mailroom.web.browser import services
from mailroom.web.errors import respond
from mailroom.web.forms.notices import redirect_with_notice
from mailroom.web.forms.return_to import member
from mailroom.web.page import keep_private, page, redirect
from mailroom.web.rate_limits import limits
from mailroom.web.recent_sign_in import recent_member

blueprint = Blueprint("leaving", __name__)


@blueprint.get("/account/delete")
async def form() -> Response:
    """Show what a deletion does or, if one is under way, how to undo it."""
    _, account = await member()
    if account.deletes_at:
        return await page("leaving.html", account=account)
    return await page(
        "delete_account.html",
        account=account,
        days_of_contents=services().settings.keep_bodies_days,
        days_of_rows=services().settings.keep_rows_days,
    )


@blueprint.post("/account/delete")
@limits.limited(limits.SIGN_IN)
async def ask() -> Response:
    """Begin the deletion, if the owner showed who it is a short while ago."""
    session, _ = await recent_member()
    await services().deletion.ask(session, origin=browser.origin())
    return redirect("/account/delete")


@blueprint.post("/account/delete/undo")
@limits.limited(limits.CHANGE)
async def undo() -> Response:
    """Keep the account that is signed in."""
    session, _ = await member()
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
    """Keep the account. This signs nobody in."""
    try:
        await services().deletion.undo_by_link(token, origin=browser.origin())
    except errors.AccountError as error:
        return keep_private(await respond(error))
    return keep_private(redirect_with_notice("/account", "account-stays"))
