"""What people read of an alert: what is wrong, since when, how many are affected, what to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailroom.i18n.formats import clock_time, date_time, duration, is_today, number, sentences
from mailroom.i18n.messages import gettext, gettext_noop, ngettext, translated
from mailroom.i18n.sentences import sentence

MANY = 10_000
"""Counts of what waits stop here."""

TITLES: Mapping[str, str] = {
    "no_worker": gettext_noop("No worker runs"),
    "waiting": gettext_noop("Mails wait too long"),
    "failures": gettext_noop("Many mails fail"),
    "uncertain": gettext_noop("Mails wait for a decision"),
    "circuit": gettext_noop("The mail server cannot be used"),
    "redis_away": gettext_noop("Redis does not answer"),
    "redis_full": gettext_noop("Redis is nearly full"),
    "disk_full": gettext_noop("A disk is nearly full"),
    "certificate": gettext_noop("A certificate ends soon"),
    "test": gettext_noop("A test of the alerts"),
}
ADVICE: Mapping[str, str] = {
    "no_worker": gettext_noop("Start a worker: mailroom worker. Nothing is lost; all mails wait in the database."),
    "waiting": gettext_noop("Look whether the workers are busy, drained or slow, and start more of them."),
    "failures": gettext_noop("Look at the failed mails: what they have in common says what to mend."),
    "uncertain": gettext_noop(
        "The mail server may have these mails. Decide for each: send it again, or cancel it."
    ),
    "circuit": gettext_noop(
        "Mails are kept and go out once the server is back. Look at SMTP_URL and that server."
    ),
    "redis_away": gettext_noop("Mails still go out, but slower, and pages are not live. Start Redis."),
    "redis_full": gettext_noop("Raise its maxmemory, or lower RESULTS_EXPIRE."),
    "disk_full": gettext_noop("Make room. When the disk is full, no mail can be accepted."),
    "certificate": gettext_noop("Renew it. When it has ended, clients and servers refuse the connection."),
    "test": gettext_noop("Nothing is wrong. An operator wanted to know whether alerts arrive."),
}


@dataclass(frozen=True, slots=True)
class AlertWords:
    """An alert in the current language."""

    title: str
    """What is wrong, in some words."""
    sentence: str
    """What is wrong, since when, and how many mails that concerns."""
    advice: str


def alert_words(rule: str, facts: Mapping[str, Any], since: datetime, now: datetime | None = None) -> AlertWords:
    """Return an alert in words. `since`: when it began. A rule of a newer release has its code only."""
    now = now or datetime.now(UTC)
    try:
        said = _SENTENCES[rule](_Alert(facts, since, now))
    except (KeyError, TypeError, ValueError):
        said = rule
    return AlertWords(translated(TITLES.get(rule, rule)), said, translated(ADVICE.get(rule, "")))


def count(value: int) -> str:
    """Return a count that stops at `MANY`: `311`, `more than 10,000`."""
    return gettext("more than %(number)s", number=number(MANY)) if value > MANY else number(value)


def moment(at: datetime, now: datetime) -> str:
    """Return a time to the minute, with its date unless it is today."""
    return clock_time(at, seconds=False) if is_today(at, now) else date_time(at)


@dataclass(frozen=True, slots=True)
class _Alert:
    """What a sentence is made of."""

    facts: Mapping[str, Any]
    since: datetime
    now: datetime

    @property
    def began(self) -> str:
        return moment(self.since, self.now)


def _no_worker(alert: _Alert) -> str:
    return sentences(gettext("No worker runs since %(time)s.", time=alert.began), _waiting(alert))


def _failures(alert: _Alert) -> str:
    failed = ngettext(
        "%(failed)s of %(ended)s mail failed in the last ten minutes.",
        "%(failed)s of %(ended)s mails failed in the last ten minutes.",
        int(alert.facts["ended"]),
        failed=number(alert.facts["failed"]),
        ended=number(alert.facts["ended"]),
    )
    cause = ""
    if code := alert.facts.get("cause"):
        cause = gettext(
            "%(count)s of the newest %(looked)s for this reason: %(reason)s",
            count=number(alert.facts["of_cause"]),
            looked=number(alert.facts["looked"]),
            reason=" ".join(filter(None, (alert.facts.get("codes"), sentence(code, {})))),
        )
    return sentences(failed, gettext("It began at %(time)s.", time=alert.began), cause)


def _uncertain(alert: _Alert) -> str:
    return ngettext(
        "%(count)s mail may be in the inbox or not, and waits for a decision.",
        "%(count)s mails may be in the inbox or not, and wait for a decision.",
        int(alert.facts["held"]),
        count=count(alert.facts["held"]),
    )


def _circuit(alert: _Alert) -> str:
    cause = sentence(f"alert.server.{str(alert.facts['reason']).replace('-', '_').replace(' ', '_')}", {})
    server = alert.facts["server"]
    said = gettext(
        "The mail server %(server)s: %(cause)s since %(time)s.", server=server, cause=cause, time=alert.began
    )
    return sentences(said, _waiting(alert))


def _redis_away(alert: _Alert) -> str:
    return gettext(
        "Redis does not answer %(processes)s of %(of)s processes since %(time)s.",
        processes=alert.facts["processes"],
        of=alert.facts["of"],
        time=alert.began,
    )


def _redis_full(alert: _Alert) -> str:
    return gettext("%(percent)s %% of Redis' memory is used.", percent=alert.facts["percent"])


def _disk_full(alert: _Alert) -> str:
    host, percent = alert.facts["host"], alert.facts["percent"]
    return gettext("%(percent)s %% of the disk of %(host)s is used.", percent=percent, host=host)


def _certificate(alert: _Alert) -> str:
    until, name = datetime.fromisoformat(alert.facts["until"]), alert.facts["name"]
    if until <= alert.now:
        return gettext("The certificate of %(name)s has ended at %(time)s.", name=name, time=date_time(until))
    return gettext("The certificate of %(name)s ends at %(time)s.", name=name, time=date_time(until))


def _test(alert: _Alert) -> str:
    return gettext("An operator tested the alerts at %(time)s.", time=clock_time(alert.since))


def _waiting(alert: _Alert) -> str:
    """Return `311 mails wait, the oldest since 9 minutes.`, or as much of it as is known."""
    facts = alert.facts
    waiting = int(facts.get("waiting") or 0)
    if not waiting:
        return gettext("No mail waits.")
    known = {"count": count(waiting)}
    oldest = facts.get("oldest")
    if not oldest:
        return ngettext("%(count)s mail waits.", "%(count)s mails wait.", waiting, **known)
    known["time"] = duration((alert.now - datetime.fromisoformat(oldest)).total_seconds())
    return ngettext(
        "%(count)s mail waits, since %(time)s.",
        "%(count)s mails wait, the oldest since %(time)s.",
        waiting,
        **known,
    )


_SENTENCES: Mapping[str, Callable[[_Alert], str]] = {
    "no_worker": _no_worker,
    "waiting": _waiting,
    "failures": _failures,
    "uncertain": _uncertain,
    "circuit": _circuit,
    "redis_away": _redis_away,
    "redis_full": _redis_full,
    "disk_full": _disk_full,
    "certificate": _certificate,
    "test": _test,
}
