"""Workers and queues: which processes run and what they work on, what waits, what is paused; the mail server."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quart import Blueprint, Response, abort

from mailroom.desk.backlog import backlog
from mailroom.desk.pause_acts import change_pause, names_to_pause
from mailroom.desk.processes.readings import ProcessRow, processes
from mailroom.desk.queues import lately, open_tasks, queues
from mailroom.i18n.alert_words import count
from mailroom.i18n.code_words import PROCESSES, STREAMS, labelled, word_of
from mailroom.i18n.formats import duration, listed, measured, number
from mailroom.i18n.messages import gettext, gettext_noop, ngettext, translated
from mailroom.i18n.sentences import sentence
from mailroom.kit import clock
from mailroom.mail.ledger.pauses import pauses
from mailroom.statistics import names
from mailroom.statistics.readings import Cells, Measured
from mailroom.web.browser import services
from mailroom.web.desk.access import actor_of, masked, operator, staff
from mailroom.web.desk.frame import desk_page
from mailroom.web.desk.kind_words import held_back_words, kind_choices
from mailroom.web.forms.fields import sent_values
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits
from mailroom.web.views.words import TASK_STATES

blueprint = Blueprint("desk_workers", __name__, url_prefix="/desk")

STATES = {
    "alive": ("good", gettext_noop("runs")),
    "unknown": ("unsure", gettext_noop("unknown")),
    "gone": ("bad", gettext_noop("gone")),
    "ended": ("waiting", gettext_noop("ended")),
}
WISHES = {"drain": gettext_noop("drains"), "stop": gettext_noop("stops")}
STAGES = {
    "connect": gettext_noop("Connection"),
    "envelope": gettext_noop("Sender and recipient"),
    "content": gettext_noop("Content until accepted"),
}
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One process as the page shows it."""

    row: ProcessRow
    role: str
    mood: str
    standing: str
    in_hand: str
    rate: str
    memory: str
    acts: Sequence[tuple[str, str]]
    """(wish, label) of the buttons."""


def _line(row: ProcessRow) -> Line:
    mood, word = STATES[row.state]
    facts, alive = row.facts, row.state == "alive"
    acts: list[tuple[str, str]] = []
    if alive and row.role == "worker":
        acts = [("stop", gettext("Stop"))]
        if row.wish != "drain":
            acts.insert(0, ("drain", gettext("Drain")))
        else:
            acts.insert(0, ("", gettext("Resume")))
    hand = ""
    if alive and row.role == "worker":
        mails, tasks = int(facts.get("mails", 0)), int(facts.get("tasks", 0))
        hand = listed(
            (ngettext("%(num)s mail", "%(num)s mails", mails), ngettext("%(num)s task", "%(num)s tasks", tasks))
        )
    return Line(
        row,
        word_of(row.role, PROCESSES),
        mood,
        translated(WISHES[row.wish]) if alive and row.wish in WISHES else translated(word),
        hand,
        gettext("%(rate)s a minute", rate=number(row.last_minute)) if alive and row.role == "worker" else "",
        f"{number(round(facts['memory'] / MEGABYTE))} MB" if alive and facts.get("memory") else "",
        acts,
    )


@blueprint.get("/workers")
async def workers() -> Response:
    """Show processes, queues and the mail server."""
    account = await staff()
    async with services().database.begin_plain() as work:
        rows, waits, held_back = await processes(work), await backlog(work), await pauses(work)
        seen = await lately(work)
        streams = await queues(work, seen, waits)
        tasks = await open_tasks(work)
    paused = {(one.what, one.name) for one in held_back}
    shown = str if account.is_operator else masked
    answer = await desk_page(
        "desk/workers.html",
        lines=[_line(row) for row in rows],
        queues=[_queue(queue, paused) for queue in streams],
        tasks=_by_state((state, count(found)) for state, found in sorted(tasks.items())),
        held_back=[(one, held_back_words(one), shown(one.by_name)) for one in held_back],
        all_paused=("all", "") in paused,
        tasks_paused=("tasks", "") in paused,
        tasks_ended=_by_state(
            (label, number(cell.count)) for (name, label), cell in sorted(seen.items()) if name == names.TASKS
        ),
        kinds=[(name, words) for name, words in kind_choices() if ("kind", name) not in paused],
        servers=_servers(rows),
        replies=_replies(seen),
        stages=_stages(seen),
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _by_state(counts: Iterable[tuple[str, str]]) -> str:
    """Return how many tasks are in each state: `Queued: 3, Working: 2`."""
    return listed(
        labelled(translated(TASK_STATES[state].word) if state in TASK_STATES else state, found)
        for state, found in counts
    )


def _queue(queue: Any, paused: set[tuple[str, str]]) -> Mapping[str, Any]:
    return {
        "stream": queue.stream,
        "label": word_of(queue.stream, STREAMS),
        "queued": count(queue.queued),
        "retrying": count(queue.retrying),
        "scheduled": count(queue.scheduled),
        "oldest": _ago(queue.oldest),
        "came": number(queue.came),
        "went": number(queue.went),
        "paused": ("stream", queue.stream) in paused,
    }


def _ago(at: datetime | None) -> str:
    return duration((clock.now() - at).total_seconds()) if at else "—"


def _servers(rows: Sequence[ProcessRow]) -> list[Mapping[str, Any]]:
    """Return each mail server with what the workers say of it."""
    servers: dict[str, list[ProcessRow]] = {}
    for row in rows:
        if row.role == "worker" and row.state == "alive":
            servers.setdefault(str(row.facts.get("server", "")), []).append(row)
    found: list[Mapping[str, Any]] = []
    for name, users in servers.items():
        shut = [row.facts["circuit"] for row in users if row.facts.get("circuit")]
        since = min((circuit["since"] for circuit in shut), default=None)
        reason = str(shut[0]["reason"]).replace("-", "_").replace(" ", "_") if shut else ""
        found.append(
            {
                "name": name,
                "mood": "good" if not shut else "bad" if len(shut) == len(users) else "unsure",
                "standing": sentence(f"alert.server.{reason}", {}) if shut else gettext("it can be used"),
                "since": datetime.fromisoformat(since) if since else None,
                "connections": sum(int(row.facts.get("connections") or 0) for row in users),
                "tls": next((row.facts["tls"] for row in users if row.facts.get("tls")), None),
                "certificate": next(
                    (row.facts["server_certificate"] for row in users if row.facts.get("server_certificate")), None
                ),
            }
        )
    return found


def _replies(seen: Cells) -> str:
    """Return how many replies of each class came: `2xx: 310, no reply: 1`."""
    words = {"none": gettext("no reply")}
    return listed(
        labelled(words.get(label, label), number(cell.count))
        for (name, label), cell in sorted(seen.items())
        if name == names.REPLIES
    )


def _stages(seen: Cells) -> list[tuple[str, str, str]]:
    found = []
    for stage, label in STAGES.items():
        cell = seen.get((names.STAGE, stage), Measured())
        found.append((translated(label), measured(cell.quantile(0.5)), measured(cell.quantile(0.99))))
    return found


@blueprint.post("/workers")
@limits.limited(limits.CHANGE)
async def wish() -> Response:
    """Ask a worker to drain, to stop, or to resume."""
    account, values = await operator(), await sent_values()
    name, wanted = str(values.get("name", ""))[:200], str(values.get("wish", ""))
    if wanted not in {"drain", "stop", ""}:
        abort(400)
    if not await services().acts.ask_worker(actor_of(account), name, wanted or None):
        abort(404)
    return redirect("/desk/workers")


@blueprint.post("/pauses")
@limits.limited(limits.CHANGE)
async def hold_back() -> Response:
    """Pause or resume all mails, the mails of a stream or kind, or background tasks."""
    account, values = await operator(), await sent_values()
    what, name = str(values.get("what", "")), str(values.get("name", ""))
    have = services()
    paused = {"pause": True, "resume": False}.get(str(values.get("act", "")))
    if paused is None or name not in names_to_pause(have.mail_kinds).get(what, ()):
        abort(400)
    await change_pause(
        have.database,
        have.audit_log,
        actor_of(account),
        what,  # type: ignore[arg-type]  # checked above
        name,
        paused=paused,
    )
    return redirect("/desk/workers")
