"""Failures in groups, each with advice, and with links that retry or cancel the whole group."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from quart import Blueprint, Response, request

from mailroom.desk.failures import Cause, FailureGroup
from mailroom.i18n.code_words import REASONS, word_of
from mailroom.i18n.formats import duration
from mailroom.i18n.messages import translated
from mailroom.mail.states import Reason
from mailroom.progress.moods import mood_of
from mailroom.web.browser import services
from mailroom.web.desk.access import masked, staff
from mailroom.web.desk.advice import ADVICE, OTHER
from mailroom.web.desk.frame import desk_page
from mailroom.web.desk.mail_lines import without_code
from mailroom.web.desk.mails import address
from mailroom.web.views.words import STATES

blueprint = Blueprint("desk_failures", __name__, url_prefix="/desk")

TIMES = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
SHOWN = 60
"""Groups on the page."""
HIGH = 28
"""Height of a trend's highest bar."""


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group as the page shows it."""

    title: str
    reason: str
    """As a search names it; empty if there is none."""
    codes: str
    domain: str
    group: FailureGroup
    first: datetime | None
    last: datetime | None
    states: list[tuple[str, str, int]]
    """Word, mood and number of each state."""
    bars: list[tuple[int, int]]
    """Height and count of each bar of the trend, the oldest first."""
    answer: str
    advice: str
    search: str
    retry: str
    cancel: str


@blueprint.get("/failures")
async def failures() -> Response:
    """Show what failed within the chosen time, in groups."""
    account = await staff()
    chosen = request.args.get("since", "24h")
    chosen = chosen if chosen in TIMES else "24h"
    found = await services().failure_report.groups(TIMES[chosen])
    return await desk_page(
        "desk/failures.html",
        groups=[_line(group, chosen, whole=account.is_operator) for group in found.groups[:SHOWN]],
        more=max(0, len(found.groups) - SHOWN),
        tasks=found.tasks,
        complete=found.complete,
        times=[
            (f"/desk/failures?since={name}", duration(length.total_seconds()), name == chosen)
            for name, length in TIMES.items()
        ],
        chosen=chosen,
    )


def _line(group: FailureGroup, since: str, *, whole: bool) -> GroupLine:
    cause, most = group.cause, max(group.trend) or 1
    search = cause.search(since)
    return GroupLine(
        title=word_of(cause.reason, REASONS),
        reason=cause.reason.replace(" ", "-"),
        codes=" ".join(str(part) for part in (cause.code, cause.enhanced) if part),
        domain=cause.domain,
        group=group,
        first=group.first,
        last=group.last,
        states=[(translated(STATES[name].word), mood_of(name), n) for name, n in group.states.most_common()],
        bars=[(round(count / most * HIGH), count) for count in group.trend],
        answer=without_code(group.answer if whole else masked(group.answer), cause.enhanced),
        advice=translated(advice_for(cause)),
        search=address(search),
        retry=f"/desk/mails/all?{urlencode({'q': search, 'act': 'retry'})}",
        cancel=f"/desk/mails/all?{urlencode({'q': search, 'act': 'cancel'})}",
    )


def advice_for(cause: Cause) -> str:
    """Return what to do about a cause, not yet translated."""
    try:
        return ADVICE.get(Reason(cause.reason), OTHER)
    except ValueError:
        return OTHER
