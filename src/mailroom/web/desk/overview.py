"""The overview: what is wrong now, first and in words; then how much goes out, and how fast."""

import asyncio
import hashlib
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from quart import Blueprint, Response, request

from mailroom.accounts.views import AccountView
from mailroom.desk.alerts.book import AlertView, current_alerts
from mailroom.desk.backlog import Backlog, backlog
from mailroom.desk.processes.readings import ProcessRow, Start, processes, starts
from mailroom.i18n import languages
from mailroom.i18n.alert_words import count
from mailroom.i18n.formats import clock_time, measured, number
from mailroom.i18n.messages import gettext, gettext_noop, ngettext, translated
from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.mail.ledger.pauses import Pause, pauses
from mailroom.statistics.readings import PERIODS, Series, series
from mailroom.web.desk.access import masked, staff
from mailroom.web.desk.alert_lines import alert_lines
from mailroom.web.desk.charts import charts
from mailroom.web.desk.frame import desk_page
from mailroom.web.desk.kind_words import held_back_words
from mailroom.web.parts import current

blueprint = Blueprint("desk_overview", __name__, url_prefix="/desk")

FRESH = 4.0
"""Seconds for which one reading serves all viewers, so that many open desks cost no more than one."""
LABELS = {
    "hour": gettext_noop("Last hour"),
    "day": gettext_noop("Last day"),
    "week": gettext_noop("Last week"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What the overview shows, as it was read at one moment."""

    at: datetime
    alerts: Sequence[AlertView]
    backlog: Backlog
    processes: Sequence[ProcessRow]
    pauses: Sequence[Pause]
    series: dict[str, Series]
    starts: Sequence[Start]
    drawn: dict[Hashable, bytes] = field(default_factory=dict, compare=False)
    """The live part of the overview, drawn from this reading, by period, role, language and time zone."""


class Readings:
    """Reads for one web process, at most once in `FRESH` seconds; the day and the week once a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._last: tuple[float, Reading] | None = None
        self._long: dict[str, tuple[float, Series]] = {}

    async def get(self) -> Reading:
        """Return a reading at most `FRESH` seconds old. Raises `Unavailable`."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > FRESH:
                self._last = (time.monotonic(), await self._read())
            return self._last[1]

    async def standing(self) -> str:
        """Return a hash that changes with what the overview shows, except with the time. Raises `Unavailable`."""
        reading = await self.get()
        facts = (
            reading.alerts,
            reading.backlog,
            [(one.name, one.state) for one in reading.processes],
            reading.pauses,
            reading.series["hour"],
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:20]

    async def _read(self) -> Reading:
        async with self._database.begin_plain() as work:
            now = clock.now()
            found: dict[str, Series] = {}
            for name, period in PERIODS.items():
                known = self._long.get(name)
                if known is None or time.monotonic() - known[0] > min(60.0, period.step.total_seconds() / 15):
                    known = self._long[name] = (time.monotonic(), await series(work, name, now))
                found[name] = known[1]
            return Reading(
                at=now,
                alerts=await current_alerts(work),
                backlog=await backlog(work),
                processes=await processes(work),
                pauses=await pauses(work),
                series=found,
                starts=await starts(work, now - PERIODS["week"].length),
            )


@blueprint.get("")
async def overview() -> Response:
    """Show the overview, or with `?part=live` only what changes, for the page's script."""
    account = await staff()
    wanted = request.args.get("period", "")
    chosen = wanted if wanted in PERIODS else "hour"
    reading = await current(Readings).get()
    if request.args.get("part") != "live":
        answer = await _draw("desk/overview.html", reading, chosen, account)
    else:
        # Every open desk fetches this every few seconds, so it is drawn once for all who see the same.
        alike = (chosen, account.is_operator, languages.current(), account.time_zone)
        if alike not in reading.drawn:
            answer = await _draw("desk/overview_live.html", reading, chosen, account)
            reading.drawn[alike] = await answer.get_data(as_text=False)
        answer = Response(reading.drawn[alike], content_type="text/html; charset=utf-8")
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def _draw(template: str, reading: Reading, chosen: str, account: AccountView) -> Response:
    shown = reading.series[chosen]
    seen = str if account.is_operator else masked
    return await desk_page(
        template,
        in_frame=False,
        lines=alert_lines(reading.alerts, clock.now()),
        well=_well(reading),
        held_back=[(pause, held_back_words(pause), seen(pause.by_name)) for pause in reading.pauses],
        numbers=[_numbers(name, reading.series[name]) for name in PERIODS],
        backlog=[
            (gettext("Queued"), count(reading.backlog.queued)),
            (gettext("Wait for another try"), count(reading.backlog.retrying)),
            (gettext("Scheduled"), count(reading.backlog.scheduled)),
            (gettext("Being sent"), count(reading.backlog.sending)),
            (gettext("Wait for a decision"), count(reading.backlog.held)),
        ],
        charts=charts(shown, reading.starts),
        periods=[(name, translated(label), name == chosen) for name, label in LABELS.items()],
        period=chosen,
        at=clock_time(reading.at),
    )


def _well(reading: Reading) -> str:
    """Return the sentence that is shown if nothing is wrong."""
    workers = sum(one.role == "worker" and one.state == "alive" for one in reading.processes)
    return ngettext("Nothing is wrong. %(num)s worker runs.", "Nothing is wrong. %(num)s workers run.", workers)


def _numbers(name: str, shown: Series) -> tuple[str, Sequence[str]]:
    whole = shown.whole
    return translated(LABELS[name]), (
        number(whole.created),
        number(whole.sent),
        number(whole.failed),
        measured(whole.p50),
        measured(whole.p99),
        measured(whole.wait_p99),
    )
