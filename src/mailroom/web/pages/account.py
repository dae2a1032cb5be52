"""One's own account: the mails sent to it, and the browsers signed in to it."""

from quart import Blueprint, Response, abort, request

from mailroom.accounts.views import Session
from mailroom.kit.ids import parse_id
from mailroom.mail import snapshots
from mailroom.web import browser, limits
from mailroom.web.browser import current_session, services
from mailroom.web.device import device_name
from mailroom.web.page import page, to
from mailroom.web.progress_view import view_of

blueprint = Blueprint("account", __name__)

SHOWN = 20
"""Mails on the page."""


@blueprint.get("/account")
async def account() -> Response:
    """Show the account; who is not signed in is asked to."""
    session = await current_session()
    if session is None or session.account is None:
        return to("/sign-in")
    async with services().database.begin() as work:
        tasks = await services().tickets.of_owner(work, session.account.id, limit=SHOWN)
        found = await snapshots.of_rows(work, [task.id for task in tasks])
    shown = [(task, found[str(task.id)]) for task in tasks if str(task.id) in found]
    sessions = await services().sessions.of_account(session.account.id)
    return await page(
        "account.html",
        account=session.account,
        mails=[(task, view_of(snapshot.public(owner=True))) for task, snapshot in shown],
        sessions=[(one, device_name(one.user_agent), one.id == session.id) for one in sessions],
        welcome="welcome" in request.args,
    )


@blueprint.post("/account/sessions/<session_id>/end")
@limits.limited(limits.CHANGE)
async def end_session(session_id: str) -> Response:
    """End one of the account's sessions; ending this very one signs out."""
    session, ended = await current_session(), parse_id(session_id)
    if session is None or session.account is None:
        return to("/sign-in")
    if ended is None:
        abort(404)
    await services().sessions.revoke(session.account.id, ended)
    return _after(session, ended == session.id)


def _after(_session: Session, this_one: bool) -> Response:
    if not this_one:
        return to("/account")
    browser.forget()
    return to("/")
