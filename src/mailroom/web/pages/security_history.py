"""The security of an account: its history, changing the password, ending sessions, and the link "this was not me".

GET only ever shows pages: mail scanners open links and run what is there.
"""

from dataclasses import dataclass
from datetime import datetime

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.accounts.security.security_log import EventKind
from mailroom.i18n.messages import gettext_noop as _
from mailroom.i18n.messages import translated
from mailroom.web import browser, limits
from mailroom.web.browser import current_or_new_session, services
from mailroom.web.errors import respond
from mailroom.web.forms import ChangePasswordForm, check, sent_values
from mailroom.web.notices import redirect_with_notice, take_notice
from mailroom.web.page import keep_private, page, redirect
from mailroom.web.refused import FORM_ERRORS, Refused, refuse, take
from mailroom.web.return_to import member

blueprint = Blueprint("security_history", __name__)

EVENTS = {
    "signed_up": _("Address confirmed"),
    "signed_in": _("Signed in"),
    "new_device": _("A new device signed in; we sent a mail"),
    "password_changed": _("Password changed"),
    "password_reset": _("New password chosen by mail"),
    "sessions_ended": _("Signed out everywhere else"),
    "address_asked": _("Another address asked for; we sent a mail"),
    "address_changed": _("Address changed; we told the old one"),
    "address_taken_back": _("Change of address undone"),
    "deletion_asked": _("Deletion of the account asked for; we sent a mail"),
    "deletion_ordered": _("An operator is deleting the account; we sent a mail"),
    "deletion_undone": _("Deletion of the account undone"),
    "secured": _("Account secured by the link of a mail"),
}
"""Kind of event → its line."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the history."""

    word: str
    device: str
    address: str | None
    at: datetime


@blueprint.get("/account/security")
async def history() -> Response:
    """Show what happened to the security of the account."""
    _, account = await member()
    events = await services().security_log.of_account(account.id)
    lines = [Line(translated(EVENTS.get(one.kind, one.kind)), one.device, one.address, one.at) for one in events]
    return await page("security.html", lines=lines, notice=take_notice())


@blueprint.get("/account/password")
async def password_form() -> Response:
    """Show the form that changes the password."""
    await member()
    return await _form(take())


async def _form(refused: Refused) -> Response:
    return await page("change_password.html", refused.status, values=refused.values, messages=refused.messages)


@blueprint.post("/account/password")
@limits.limited(limits.SIGN_IN)
async def change_password() -> Response:
    """Change the password; the present one is asked."""
    session, _ = await member()
    try:
        form = check(ChangePasswordForm, await sent_values())
        await services().password_change.change(
            session,
            current=form.current,
            password=form.password,
            end_others=bool(form.end_others),
            origin=browser.origin(),
        )
    except FORM_ERRORS as error:
        return await refuse(error, _form)
    return redirect_with_notice("/account/security", "new-password")


@blueprint.post("/account/sessions/end-others")
@limits.limited(limits.CHANGE)
async def end_others() -> Response:
    """End every other session of the account."""
    session, account = await member()
    async with services().database.begin() as work:
        await services().sessions.revoke_others(work, account.id, but=session.id)
        await services().security_log.record(work, account.id, EventKind.SESSIONS_ENDED, browser.origin())
    return redirect_with_notice("/account/security", "others-ended")


@blueprint.get("/not-me/<token>")
async def not_me_form(token: str) -> Response:
    """Show whose account the link secures, and the button that does it."""
    try:
        email = await services().takeover.preview(token)
    except errors.AccountError as error:
        return keep_private(await respond(error))
    return keep_private(await page("not_me.html", email=email))


@blueprint.post("/not-me/<token>")
@limits.limited(limits.CONFIRM)
async def not_me(token: str) -> Response:
    """End all sessions of the account, and go on to the page of the mail with a link to a new password."""
    try:
        await services().takeover.preview(token)  # before a browser without a session gets one
        session = await current_or_new_session()
        ticket = await services().takeover.disown(token, session=session, origin=browser.origin())
    except errors.AccountError as error:
        return keep_private(await respond(error))
    return keep_private(redirect(f"/mails/{ticket}"))
