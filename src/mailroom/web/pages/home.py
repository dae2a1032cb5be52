"""The front door."""

from quart import Blueprint, Response

from mailroom.web.browser import current_session
from mailroom.web.page import page, redirect

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
async def front() -> Response:
    """Say what this is; who is signed in goes to their account."""
    session = await current_session()
    if session and session.account:
        return redirect("/account")
    return await page("home.html")
