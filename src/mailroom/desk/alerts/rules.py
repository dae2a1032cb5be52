"""The rules: one pure function says what is wrong, from what was read."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from mailroom.desk.backlog import Backlog
from mailroom.desk.processes.readings import ProcessRow

FAILURE_WINDOW = timedelta(minutes=10)
CERTIFICATE_DAYS = 14
FEW_FAILURES = 15
"""Failed mails within `FAILURE_WINDOW` that are no reason for an alert, however few mails there are."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How long a condition holds before it fires, and how long it is good before it clears."""

    fires_after: timedelta
    clears_after: timedelta
    from_notice: bool = False
    """True if `fires_after` counts from when the condition was noticed: after a restart a worker needs time."""


RULES: Mapping[str, Rule] = {
    "no_worker": Rule(timedelta(seconds=20), timedelta(seconds=5), from_notice=True),
    "waiting": Rule(timedelta(minutes=2), timedelta(seconds=30)),
    "failures": Rule(timedelta(), timedelta(minutes=1)),
    "uncertain": Rule(timedelta(), timedelta(seconds=30)),
    "circuit": Rule(timedelta(minutes=5), timedelta(seconds=20)),
    "redis_away": Rule(timedelta(minutes=1), timedelta(seconds=20)),
    "redis_full": Rule(timedelta(minutes=1), timedelta(minutes=2)),
    "disk_full": Rule(timedelta(minutes=1), timedelta(minutes=2)),
    "certificate": Rule(timedelta(), timedelta(minutes=5)),
}


@dataclass(frozen=True, slots=True)
class View:
    """What was read for one evaluation."""

    now: datetime
    processes: Sequence[ProcessRow]
    last_worker: datetime | None
    backlog: Backlog
    ended: int
    """Mails that ended within `FAILURE_WINDOW`."""
    failed: int
    """Those of them that failed, expired or are held."""
    cause: Mapping[str, Any] = field(default_factory=dict)
    """Why most of them failed (`causes.py`); empty if that was not looked up."""
    paused: bool = False
    """True if an operator holds back all mails, or all of the transactional stream."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong: the rule, the subject, since when if known, and the sentence's parameters."""

    rule: str
    subject: str = ""
    since: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


Open = Collection[tuple[str, str]]
"""(rule, subject) of the conditions that were there before: they end at lower thresholds than they begin."""


def conditions(view: View, before: Open) -> list[Condition]:
    """Return everything that is wrong."""
    return [condition for rule in _RULES for condition in rule(view, before)]


def _no_worker(view: View, _before: Open) -> Iterator[Condition]:
    workers = [one for one in view.processes if one.role == "worker"]
    if any(one.state == "alive" for one in workers):
        return
    if any(one.state == "unknown" for one in workers):  # perhaps only the database was away
        return
    since = view.last_worker or min((one.started_at for one in view.processes), default=None)
    yield Condition("no_worker", since=since, facts=_waiting_facts(view))


def _waiting(view: View, before: Open) -> Iterator[Condition]:
    """Yield it once the oldest mail has waited for a minute; it fires after two, and ends below 30 seconds."""
    oldest = view.backlog.oldest
    least = timedelta(seconds=30) if ("waiting", "") in before else timedelta(minutes=1)
    if oldest and view.now - oldest >= least and not view.paused:
        yield Condition("waiting", since=oldest, facts=_waiting_facts(view))


def _waiting_facts(view: View) -> dict[str, Any]:
    oldest = view.backlog.oldest
    return {
        "waiting": view.backlog.waiting,
        "oldest": oldest.isoformat() if oldest else None,
    }


def _failures(view: View, before: Open) -> Iterator[Condition]:
    share, most = (0.04, FEW_FAILURES) if ("failures", "") in before else (0.05, 20)
    if view.failed > most and view.failed > share * view.ended:
        yield Condition("failures", facts={"failed": view.failed, "ended": view.ended, **view.cause})


def _uncertain(view: View, _before: Open) -> Iterator[Condition]:
    if view.backlog.held:
        yield Condition("uncertain", facts={"held": view.backlog.held})


def _circuit(view: View, _before: Open) -> Iterator[Condition]:
    workers = [one for one in view.processes if one.role == "worker" and one.state == "alive"]
    servers: dict[str, list[Mapping[str, Any] | None]] = {}
    for one in workers:
        servers.setdefault(str(one.facts.get("server", "")), []).append(one.facts.get("circuit"))
    for server, circuits in servers.items():
        shut = [circuit for circuit in circuits if circuit]
        if shut and len(shut) == len(circuits):  # one worker that reaches the server sends all mails
            since = min(datetime.fromisoformat(circuit["since"]) for circuit in shut)
            facts = {"server": server, "reason": shut[0]["reason"], **_waiting_facts(view)}
            yield Condition("circuit", server, since, facts)


def _redis(view: View, before: Open) -> Iterator[Condition]:
    alive = [one for one in view.processes if one.state == "alive" and "redis" in one.facts]
    away = [one for one in alive if not one.facts["redis"]]
    if away:
        yield Condition("redis_away", facts={"processes": len(away), "of": len(alive)})
    full = max((one.facts.get("redis_memory") or 0 for one in alive), default=0)
    if full > (0.85 if ("redis_full", "") in before else 0.9):
        yield Condition("redis_full", facts={"percent": round(100 * full)})


def _disks(view: View, before: Open) -> Iterator[Condition]:
    disks = {
        one.host: one.facts["disk"] for one in view.processes if one.state == "alive" and one.facts.get("disk")
    }
    for host, share in disks.items():
        if share > (0.87 if ("disk_full", host) in before else 0.9):
            yield Condition("disk_full", host, facts={"host": host, "percent": round(100 * share)})


def _certificates(view: View, _before: Open) -> Iterator[Condition]:
    ends: dict[str, datetime] = {}
    for one in view.processes:
        if one.state != "alive":
            continue
        for name, until in (one.facts.get("certificates") or {}).items():
            ends[name] = datetime.fromisoformat(until)
        if until := one.facts.get("server_certificate"):
            ends[str(one.facts.get("server", ""))] = parsedate(until)
    for name, until in ends.items():
        if until - view.now < timedelta(days=CERTIFICATE_DAYS):
            yield Condition("certificate", name, facts={"name": name, "until": until.isoformat()})


def parsedate(text: str) -> datetime:
    """Return the time that `ssl` writes as ``Nov 27 12:00:00 2027 GMT``, in UTC."""
    month, day, time, year, _zone = text.split()
    return parsedate_to_datetime(f"{day} {month} {year} {time} +0000").astimezone(UTC)


_RULES: Sequence[Callable[[View, Open], Iterator[Condition]]] = (
    _no_worker,
    _circuit,
    _waiting,
    _failures,
    _uncertain,
    _redis,
    _disks,
    _certificates,
)
