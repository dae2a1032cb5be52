"""The security of an account: its history, changing the password, ending sessions, and the link "this was not me".

GET only ever shows pages: mail scanners open links and run what is there.
"""

from dataclasses import dataclass
from datetime import datetime

from quart import Blueprint, Response

from mailroom.accounts import errors
from mailroom.accounts.browsers import browser_words
from mailroom.accounts.views import Session
from mailroom.i18n.messages import gettext_noop as _
from mailroom.i18n.messages import translated
from mailroom.i18n.sentences import sentence
from mailroom.web import browser
from mailroom.web.browser import current_or_new_session, services
from mailroom.web.errors import respond
from mailroom.web.forms.fields import ChangePasswordForm, OtherPasswordForm, check, sent_values
from mailroom.web.forms.notices import redirect_with_notice, take_notice
from mailroom.web.forms.return_to import member
from mailroom.web.page import keep_private, page, redirect
from mailroom.web.pages.present_password import form_of_change, who_changes
from mailroom.web.rate_limits import limits
from mailroom.web.refused import FORM_ERRORS, Refused, refuse, take

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
    "identity_linked": _("Linked with an account of another site"),
    "identity_unlinked": _("Link with an account of another site removed"),
    "secured": _("Account secured by the link of a mail"),
    "session_ended": _("Another browser signed out"),
    "exported": _("Export of the data asked for"),
    "app_added": _("Authenticator app added"),
    "app_removed": _("Authenticator app removed"),
    "passkey_added": _("Passkey added"),
    "passkey_removed": _("Passkey removed"),
    "codes_made": _("New recovery codes made"),
    "recovery_code_used": _("Recovery code used"),
    "second_step_failed": _("Five wrong codes after the right password; nobody was let in"),
    "two_steps_on": _("Two steps turned on"),
    "two_steps_off": _("Two steps turned off"),
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
    session, account = await member()
    events = await services().security_log.of_account(account.id)
    lines = [
        Line(translated(EVENTS.get(one.kind, one.kind)), browser_words(one.device), one.address, one.at)
        for one in events
    ]
    factors = await services().factors.overview(session)
    return await page(
        "settings/security.html",
        account=account,
        lines=lines,
        factors=factors,
        choice=await services().recent_sign_in.choice(session),
        identities=await services().identities.of_account(session),
        providers=services().settings.sign_in_providers,
        obstacle=sentence(factors.passkeys_obstacle) if factors.passkeys_obstacle else "",
        notice=take_notice(),
    )


@blueprint.get("/account/password")
async def password_form() -> Response:
    """Show the form that changes the password."""
    session, asks_password = await who_changes()
    return await _form(session, take(), asks_password=asks_password)


async def _form(session: Session, refused: Refused, *, asks_password: bool) -> Response:
    return await form_of_change("change_password.html", "/account/password", session, refused, asks_password)


@blueprint.post("/account/password")
@limits.limited(limits.SIGN_IN)
async def change_password() -> Response:
    """Change the password; the present one is asked, or a passkey in its place."""
    session, asks_password = await who_changes()
    try:
        asked = ChangePasswordForm if asks_password else OtherPasswordForm
        form = check(asked, await sent_values())
        await services().password_change.change(
            session,
            current=form.current,
            password=form.password,
            end_others=bool(form.end_others),
            origin=browser.origin(),
        )
    except FORM_ERRORS as error:
        return await refuse(error, lambda it: _form(session, it, asks_password=asks_password))
    return redirect_with_notice("/account/security", "new-password")


@blueprint.get("/not-mine/<token>")
async def not_mine_form(token: str) -> Response:
    """Show which sign-up the link ends, with a button that ends it, or one that lets its mails through again."""
    try:
        found = await services().withdrawal.preview(token)
    except errors.AccountError as error:
        return keep_private(await respond(error))
    return keep_private(await page("not_mine.html", found=found))


@blueprint.post("/not-mine/<token>")
@limits.limited(limits.CONFIRM)
async def not_mine(token: str) -> Response:
    """End the sign-up and hold back further mails, or let mails through again, and go back to the page."""
    values = await sent_values()
    try:
        if values.get("again"):
            await services().withdrawal.allow(token)
        else:
            await services().withdrawal.withdraw(token)
    except errors.AccountError as error:
        return keep_private(await respond(error))
    return keep_private(redirect(f"/not-mine/{token}"))


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
