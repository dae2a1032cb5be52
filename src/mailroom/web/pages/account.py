"""The first page of one's own account: whose it is, and the mails sent to it."""

from quart import Blueprint, Response

from mailroom.mail.listing import list_owned
from mailroom.web.browser import services
from mailroom.web.forms.notices import take_notice
from mailroom.web.forms.return_to import member
from mailroom.web.page import page
from mailroom.web.pages.tasks import line_of

blueprint = Blueprint("account", __name__)

SHOWN = 5
"""Mails on the page."""


@blueprint.get("/account")
async def account() -> Response:
    """Show the account, or ask to sign in."""
    _, owner = await member()
    async with services().database.begin() as work:
        found = await list_owned(work, owner.id, mails_only=True, limit=SHOWN)
    return await page(
        "account.html",
        account=owner,
        mails=[line_of(one) for one in found],
        notice=take_notice(),
    )
