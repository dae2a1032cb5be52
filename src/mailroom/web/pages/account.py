"""One's own account: the mails sent to it, and the browsers signed in to it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from quart import Blueprint, Response, abort

from mailroom.accounts.browsers import described
from mailroom.accounts.views import Session
from mailroom.kit import clock
from mailroom.kit.ids import parse_id
from mailroom.mail.listing import list_owned
from mailroom.web import browser, limits
from mailroom.web.browser import current_session, services
from mailroom.web.notices import take_notice
from mailroom.web.page import page, redirect
from mailroom.web.pages.tasks import line_of
from mailroom.web.return_to import member

blueprint = Blueprint("account", __name__)

SHOWN = 5
"""Mails on the page."""


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that is signed in; `current` is the one that asks."""

    id: UUID
    device: str
    since: datetime
    seen: datetime
    current: bool


def _browser_of(one: Session, current: Session) -> Browser:
    name = described(one.user_agent, with_version=True)
    return Browser(one.id, name[:1].upper() + name[1:], one.created_at, one.seen_at, one.id == current.id)


@blueprint.get("/account")
async def account() -> Response:
    """Show the account, or ask to sign in."""
    session, owner = await member()
    async with services().database.begin() as work:
        found = await list_owned(work, owner.id, mails_only=True, limit=SHOWN)
    sessions = await services().sessions.of_account(owner.id)
    return await page(
        "account.html",
        account=owner,
        mails=[line_of(one) for one in found],
        sessions=sorted((_browser_of(one, session) for one in sessions), key=lambda it: not it.current),
        notice=take_notice(),
    )


@blueprint.post("/account/export")
@limits.limited(limits.EXPORT)
async def export() -> Response:
    """Start an export of the account's data, and go on to its page."""
    _, owner = await member()
    return redirect(f"/tasks/{await services().exports.start(owner.id)}")


@blueprint.get("/account/export/<ticket>")
@limits.limited_reads(limits.READ)
async def download(ticket: str) -> Response:
    """Send an account its own export. A foreign ticket and an unknown one look alike."""
    session, export_id = await current_session(), parse_id(ticket)
    if session is None or session.account is None or export_id is None:
        abort(404)
    content = await services().exports.content(export_id, session.account.id)
    if content is None:
        abort(404)
    name = f"mailroom-export-{clock.now():%Y-%m-%d}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, content_type="application/zip", headers=headers)


@blueprint.post("/account/sessions/<session_id>/end")
@limits.limited(limits.CHANGE)
async def end_session(session_id: str) -> Response:
    """End one of the account's sessions; ending this very one signs out."""
    session, owner = await member()
    ended = parse_id(session_id)
    if ended is None:
        abort(404)
    await services().sessions.revoke(owner.id, ended)
    if ended != session.id:
        return redirect("/account")
    browser.forget()
    return redirect("/")
