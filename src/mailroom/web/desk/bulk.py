"""All mails of a search: counted, confirmed, and handed to a background task with a live page of its own."""

from datetime import datetime
from typing import Any, get_args

from quart import Blueprint, Response, abort, request

from mailroom.desk.bulk_actions import Action
from mailroom.i18n.formats import number
from mailroom.i18n.messages import gettext, gettext_noop, translated
from mailroom.kit import clock
from mailroom.web.browser import services
from mailroom.web.desk.access import actor_of, operator
from mailroom.web.desk.asked import Asked, asked_search
from mailroom.web.desk.frame import desk_page
from mailroom.web.desk.mails import address
from mailroom.web.errors import respond, wants_json
from mailroom.web.forms.fields import Invalid, sent_values
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import Refused, show_again, take

blueprint = Blueprint("desk_bulk", __name__, url_prefix="/desk/mails")

TITLES = {"retry": gettext_noop("Send all of them again"), "cancel": gettext_noop("Cancel all of them")}
UNCOUNTED = "all"
"""What is typed in place of a number if there are too many mails to count."""


@blueprint.get("/all")
async def confirm() -> Response:
    """Say how many mails are meant, and ask whether to go on."""
    return await _page(take())


async def _page(refused: Refused) -> Response:
    account = await operator()
    action = _action(refused.values.get("act") or request.args.get("act", ""))
    asked = asked_search(account, refused.values.get("q"))
    if asked.search is None:
        return redirect(address(asked.text))
    until = clock.now()
    count = await services().bulk_actions.count(asked.search, until)
    return await desk_page(
        "desk/bulk.html",
        refused.status,
        action=action,
        title=translated(TITLES[action]),
        asked=asked,
        count=count,
        until=until.isoformat(),
        typed=UNCOUNTED if count is None else str(count),
        destructive=action == "cancel",
        back=address(asked.text),
        message=refused.messages.get("typed", ""),
    )


def _action(text: Any) -> Action:
    if text not in get_args(Action):
        abort(404)
    chosen: Action = text
    return chosen


@blueprint.post("/all")
@limits.limited(limits.CHANGE)
async def start() -> Response:
    """Start the task and go on to its live page."""
    account, values = await operator(), await sent_values()
    action, asked = _action(values.get("act")), asked_search(account, str(values.get("q", "")))
    until = _moment(str(values.get("until", "")))
    if asked.search is None:
        return await respond(Invalid({"q": asked.message}))
    if action == "cancel" and (wrong := await _typed_wrong(asked, until, str(values.get("typed", "")))):
        if wants_json():
            return await respond(Invalid({"typed": wrong}))
        return await show_again(Refused({"q": asked.text, "act": action}, {"typed": wrong}, 422), _page)
    async with services().database.begin() as work:
        ticket = await services().bulk_actions.start(
            work, action, asked.search, until=until, actor=actor_of(account), owner_id=account.id
        )
    return redirect(f"/tasks/{ticket}")


async def _typed_wrong(asked: Asked, until: datetime, typed: str) -> str:
    """Return what is wrong with the count that was typed; empty if it is right."""
    assert asked.search
    count = await services().bulk_actions.count(asked.search, until)
    wanted = UNCOUNTED if count is None else str(count)
    if typed.strip().replace(",", "").replace(" ", "") == wanted:
        return ""
    if count is None:
        return gettext("Please type the word “all”. Nothing was done.")
    return gettext("%(count)s mails match now. Please type this number. Nothing was done.", count=number(count))


def _moment(text: str) -> datetime:
    """Return the moment when the form's page was made; now, if `text` is no such moment or lies in the future."""
    now = clock.now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now
    return min(moment, now) if moment.tzinfo else now
