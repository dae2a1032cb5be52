"""Wires the alerts: web and worker processes both watch."""

from collections.abc import Sequence

from mailroom.desk.alerts.book import AlertView
from mailroom.desk.alerts.teller import Teller, Words
from mailroom.desk.alerts.watch import AlertWatch
from mailroom.i18n.alert_words import alert_words
from mailroom.i18n.formats import duration
from mailroom.i18n.messages import gettext, ngettext
from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.settings import Settings
from mailroom.statistics.counters import Counters


def create_watch(settings: Settings, database: Database, counters: Counters) -> AlertWatch:
    """Return what evaluates the alerts of this process."""
    return AlertWatch(database, create_teller(settings, database), counters)


def create_teller(settings: Settings, database: Database) -> Teller:
    """Return what mails alerts."""
    return Teller(database, settings, lambda alerts: in_words(alerts, settings.public_url, settings.brand.label))


def in_words(alerts: Sequence[AlertView], public_url: str, label: str) -> Words:
    """Return the mail about these alerts, in the current language.

    `label` says in the subject which Mailroom it is.
    """
    parts, titles = [], []
    for alert in alerts:
        words = alert_words(alert.rule, alert.facts, alert.began_at, clock.now())
        if alert.ended_at:
            took = duration((alert.ended_at - alert.began_at).total_seconds())
            titles.append(gettext("Over: %(title)s", title=words.title))
            over = gettext("This is over. It took %(time)s.", time=took)
            parts.append(f"{words.title}\n{over}")
        else:
            titles.append(words.title)
            parts.append(f"{words.title}\n{words.sentence}\n{words.advice}")
    subject = titles[0]
    if more := len(titles) - 1:
        subject = ngettext("%(first)s, and %(num)s more", "%(first)s, and %(num)s more", more, first=titles[0])
    return Words(f"[{label}] {subject}", "\n\n".join([*parts, f"{public_url}/desk"]) + "\n")
