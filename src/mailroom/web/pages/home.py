"""The start page."""

from quart import Blueprint, Response

from mailroom.i18n.messages import translated
from mailroom.web.browser import current_session
from mailroom.web.page import page, redirect
from mailroom.web.views import words

blueprint = Blueprint("home", __name__)

SAMPLE_TIMES = ("09:41:07", "09:41:07", "09:41:08", "09:41:08", "09:41:09")
"""When the mail in the picture reached each step."""


@blueprint.get("/")
async def front() -> Response:
    """Say what this is; who is signed in goes to their account."""
    session = await current_session()
    if session and session.account:
        return redirect("/account")
    labels = (translated(label) for label in words.STEPS.values())
    return await page("home.html", steps=list(zip(labels, SAMPLE_TIMES, strict=True)))
