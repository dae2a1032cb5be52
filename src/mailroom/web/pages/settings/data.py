"""Getting one's data: an export, and its file."""

from quart import Blueprint, Response, abort

from mailroom.kit import clock
from mailroom.kit.ids import parse_id
from mailroom.web import browser
from mailroom.web.browser import current_session, services
from mailroom.web.forms.return_to import member
from mailroom.web.page import page, redirect
from mailroom.web.rate_limits import limits
from mailroom.web.recent_sign_in import recent_member

blueprint = Blueprint("data", __name__)

PAGE = "/account/data"


@blueprint.get(PAGE)
async def data() -> Response:
    """Show what can be done with one's data."""
    await member()
    return await page("settings/data.html")


@blueprint.post("/account/export")
@limits.limited(limits.EXPORT)
async def export() -> Response:
    """Start an export of the account's data, and go on to its page."""
    _, account = await recent_member()
    return redirect(f"/tasks/{await services().exports.start(account.id, browser.origin())}")


@blueprint.get("/account/export/<ticket>")
@limits.limited_reads(limits.READ)
async def download(ticket: str) -> Response:
    """Send an account its own export. Another account's ticket is answered like an unknown one."""
    session, export_id = await current_session(), parse_id(ticket)
    if session is None or session.account is None or export_id is None:
        abort(404)
    content = await services().exports.content(export_id, session.account.id)
    if content is None:
        abort(404)
    name = f"mailroom-export-{clock.now():%Y-%m-%d}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, content_type="application/zip", headers=headers)
