"""Alerts as pages show them: in words, with links to the pages that help to mend the cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from quart import current_app

from mailroom.desk.alerts.book import AlertView
from mailroom.i18n.alert_words import AlertWords, alert_words
from mailroom.i18n.messages import gettext_noop, translated

WAYS: Mapping[str, Sequence[tuple[str, str]]] = {
    "no_worker": (("/desk/workers", gettext_noop("Look at the workers")),),
    "waiting": (("/desk/workers", gettext_noop("Look at the queues")),),
    "failures": (
        ("/desk/failures", gettext_noop("See what they have in common")),
        ("/desk/mails?q=state%3Afailed+since%3A1h", gettext_noop("Show the failed mails")),
    ),
    "uncertain": (("/desk/mails?q=state%3Auncertain", gettext_noop("Show these mails")),),
    "circuit": (("/desk/workers", gettext_noop("Look at the mail server")),),
    "redis_away": (("/desk/workers", gettext_noop("Look at the processes")),),
    "redis_full": (("/desk/workers", gettext_noop("Look at the processes")),),
    "disk_full": (("/desk/workers", gettext_noop("Look at the processes")),),
    "certificate": (("/desk/workers", gettext_noop("Look at the mail server")),),
}


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert on a page."""

    alert: AlertView
    words: AlertWords
    mood: str
    ways: Sequence[tuple[str, str]]
    """(address, words) of the links that help to mend it."""


def alert_lines(alerts: Sequence[AlertView], now: datetime) -> list[AlertLine]:
    """Return the alerts in words, in the order given."""
    there = {rule.rule for rule in current_app.url_map.iter_rules()}
    return [
        AlertLine(
            alert,
            alert_words(alert.rule, alert.facts, alert.began_at, now),
            "bad" if alert.firing else "waiting",
            [
                (href, translated(label))
                for href, label in WAYS.get(alert.rule, ())
                if href.partition("?")[0] in there
            ],
        )
        for alert in alerts
    ]


def in_frame(alerts: Sequence[AlertView], now: datetime) -> list[tuple[str, str, str | None]]:
    """Return (mood, sentence, address) of the alerts on every page of the desk: those firing and not silenced."""
    lines = alert_lines([alert for alert in alerts if alert.firing and not alert.silenced_until], now)
    return [(line.mood, line.words.sentence, line.ways[0][0] if line.ways else None) for line in lines]
