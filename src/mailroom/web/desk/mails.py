"""Mails: the search, its form, its pages, and suggestions while typing. The address of a page is the search."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from quart import Blueprint, Response, json, request
from sqlalchemy import select

from mailroom.api_keys.models import ApiKey
from mailroom.desk.mail_search import MOST_COUNTED
from mailroom.desk.saved_searches import LONGEST_NAME, TooManySearches
from mailroom.desk.search import NAMES
from mailroom.i18n.formats import duration
from mailroom.i18n.messages import gettext, gettext_noop, translated
from mailroom.kit.ids import parse_id
from mailroom.mail.messages.draft import STREAMS
from mailroom.mail.states import Reason, State
from mailroom.web.browser import services
from mailroom.web.desk.access import operator, staff
from mailroom.web.desk.asked import asked_search, text_of_form
from mailroom.web.desk.frame import desk_page
from mailroom.web.desk.kind_words import kind_choices, stream_choices
from mailroom.web.desk.mail_lines import mail_lines
from mailroom.web.errors import respond
from mailroom.web.forms.fields import Invalid, sent_values
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits
from mailroom.web.views.words import STATES

blueprint = Blueprint("desk_mails", __name__, url_prefix="/desk")

SHOWN = 50
BELOW = "below"
"""The parameter of later pages: all ids on the page are below it. (`before` is a term of a search already.)"""
QUICK = (
    ("state:failed", gettext_noop("Failed")),
    ("state:retrying,queued,scheduled", gettext_noop("Waiting")),
    ("state:uncertain", gettext_noop("Unclear")),
    ("state:sending", gettext_noop("Sending")),
    ("", gettext_noop("All")),
)
LENGTHS = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
SINCE = (*LENGTHS, "all")
MOST_SUGGESTIONS = 12


@dataclass(frozen=True, slots=True)
class Counted:
    """How many mails a search finds; `more` if there are more than were counted."""

    number: int
    more: bool


@blueprint.get("/mails")
async def mails() -> Response:
    """Show a page of the mails that a search finds."""
    account = await staff()
    if (text := text_of_form()) is not None:
        return redirect(address(text))
    asked, before = asked_search(account), parse_id(request.args.get(BELOW, ""))
    page = count = None
    lines = []
    if asked.search and before:
        page = await services().mail_searches.page(asked.search, asked.now, before=before, limit=SHOWN)
    elif asked.search:
        page, number = await services().mail_searches.first_page(asked.search, asked.now, limit=SHOWN)
        count = None if number is None else Counted(min(number, MOST_COUNTED), number > MOST_COUNTED)
    async with services().database.begin() as work:
        if page:
            lines = await mail_lines(work, page.rows, whole=account.is_operator)
        keys = [row.name for row in await services().api_keys.list(work, revoked=False)]
        saved = await services().saved_searches.list(work, account.id)
    return await desk_page(
        "desk/mails.html",
        200 if asked.search else 422,
        asked=asked,
        lines=lines,
        looked_to=page.looked_to if page else None,
        older=address(asked.text, **{BELOW: str(page.next)}) if page and page.next else None,
        newest=address(asked.text),
        paged=before is not None,
        count=count,
        quick=[(address(query), translated(label), query == asked.text) for query, label in QUICK],
        states=[(state.value, translated(STATES[state].word)) for state in State],
        kinds=kind_choices(),
        keys=[(name, name) for name in keys],
        streams=stream_choices(),
        since=[(name, _length(name)) for name in SINCE],
        saved=[(one.id, one.name, address(one.query)) for one in saved],
        bulk={
            action: f"/desk/mails/all?{urlencode({'q': asked.text, 'act': action})}"
            for action in ("retry", "cancel")
        },
    )


def _length(name: str) -> str:
    """Return how far a search looks back, in words."""
    return duration(LENGTHS[name].total_seconds()) if name in LENGTHS else gettext("any time")


def address(text: str, **more: str) -> str:
    """Return the address of a search."""
    words = {**({"q": text} if text else {}), **more}
    return f"/desk/mails?{urlencode(words)}" if words else "/desk/mails"


@blueprint.get("/mails/suggestions")
async def suggestions() -> Response:
    """Give what may follow the last word of `q`, as JSON: names of facts, and values of a fact."""
    await staff()
    text = request.args.get("q", "")[:500]
    last = "" if not text or text[-1].isspace() else text.rsplit(None, 1)[-1]
    name, colon, begun = last.rpartition(":")
    found = await _values(name) if colon else [f"{name}:" for name in NAMES]
    fits = [value for value in found if value.lower().startswith(begun.lower()) and value != begun]
    head = text[: len(text) - len(begun)]
    told = [head + (f'"{value}"' if " " in value else value) for value in fits[:MOST_SUGGESTIONS]]
    return Response(json.dumps({"suggestions": told}), content_type="application/json")


async def _values(name: str) -> list[str]:
    """Return the values that a fact may have, if they can be listed."""
    if name == "key":
        async with services().database.begin() as work:
            return list(await work.session.scalars(select(ApiKey.name).order_by(ApiKey.name).limit(200)))
    return {
        "state": [state.value for state in State],
        "kind": [kind.name for kind in services().mail_kinds],
        "stream": list(STREAMS),
        "reason": [reason.value.replace(" ", "-") for reason in Reason],
        "since": list(SINCE),
        "before": ["1h", "24h", "7d"],
        "code": ["421", "450", "451", "452", "550", "552", "553", "554"],
    }.get(name, [])


@blueprint.post("/searches")
@limits.limited(limits.CHANGE)
async def save() -> Response:
    """Keep a search under a name."""
    account, values = await operator(), await sent_values()
    asked = asked_search(account, str(values.get("q", "")))
    name = str(values.get("name", "")).strip()[:LONGEST_NAME] or asked.text[:LONGEST_NAME]
    if asked.search is None or not name:
        return await respond(
            Invalid({"q": asked.message or translated(gettext_noop("Please type a search first."))})
        )
    try:
        async with services().database.begin() as work:
            await services().saved_searches.save(work, account.id, name, asked.text)
    except TooManySearches as error:
        return await respond(Invalid({"name": str(error)}))
    return redirect(address(asked.text))


@blueprint.post("/searches/<search_id>/delete")
@limits.limited(limits.CHANGE)
async def forget(search_id: str) -> Response:
    """Delete a saved search of one's own."""
    account, found = await operator(), parse_id(search_id)
    if found:
        async with services().database.begin() as work:
            await services().saved_searches.delete(work, account.id, found)
    return redirect("/desk/mails")
