"""The alerts that fire: what web and worker processes found wrong, as the desk shows it."""

from psycopg.errors import UndefinedTable

from mailroom.desk.alerts.book import AlertView, current_alerts
from mailroom.i18n.alert_words import alert_words
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.ops.doctor.findings import Finding, broken, good, warning
from mailroom.settings import Settings

CHECK = gettext_noop("alerts")
WARNINGS = frozenset({"certificate", "uncertain", "redis_full", "disk_full"})
"""Rules for what may become worse; the other rules are for what does not work now."""


async def check(settings: Settings) -> list[Finding]:
    """Return a finding for each alert that fires."""
    database = Database(settings.session_database_url, connections=3, name="mailroom doctor")
    try:
        async with database.begin_plain() as work:
            alerts = await current_alerts(work)
    except (UndefinedTable, Unavailable):
        return []  # the check of the database reports it
    finally:
        await database.close()
    firing = [alert for alert in alerts if alert.firing]
    return [_finding(alert) for alert in firing] or [good(CHECK, gettext("none fires"))]


def _finding(alert: AlertView) -> Finding:
    words = alert_words(alert.rule, alert.facts, alert.began_at, clock.now())
    say = warning if alert.rule in WARNINGS else broken
    return say(CHECK, words.sentence.removesuffix("."), words.advice)
