"""Workers: does any answer, and are there mails that a worker should have sent long ago?"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from mailroom.i18n.messages import gettext, gettext_noop, ngettext
from mailroom.ops.doctor.database import plain
from mailroom.ops.doctor.findings import Finding, broken, good, quoted, unknown, warning
from mailroom.ops.entrypoints import Entrypoints
from mailroom.settings import Settings

CHECK = gettext_noop("workers")
LONG = 60
"""Seconds that a mail may be overdue: if a worker runs, its sweep looks at the mail far sooner."""
START = gettext_noop("Start one: `mailroom worker`. One that was just started answers within some seconds.")
LOGS = gettext_noop("See the workers' logs: they may not reach the database, or are very busy.")
RESTART = gettext_noop(
    "See the workers' logs and restart them. web and worker must have the same REDIS_URL and BROKER_URL."
)
# A sweep moves nudge_at on, so a row whose moment is long past was seen by no worker since.
STATE = """
select (select count(*) from mails where nudge_at < now() - make_interval(secs => %s)) as overdue,
    (select count(*) from pg_stat_activity
     where datname = current_database() and application_name = 'mailroom worker') as connections
"""


@dataclass(frozen=True, slots=True)
class Signs:
    """What can be known of the workers without asking one."""

    overdue: int = 0
    """Mails that should have been looked at a minute ago."""
    connected: bool = False
    """Whether a worker holds a connection to the database."""


def check(entrypoints: Entrypoints) -> Callable[[Settings], Awaitable[list[Finding]]]:
    """Return the check; it asks through `entrypoints`, since only the rooms above know Celery."""

    async def workers(settings: Settings) -> list[Finding]:
        signs, depth, answers = await asyncio.gather(
            _signs(settings),
            asyncio.to_thread(entrypoints.queue_depth, settings),
            asyncio.to_thread(entrypoints.workers, settings),
            return_exceptions=True,
        )
        if isinstance(answers, BaseException):
            words = gettext(
                "the broker cannot be used, so they cannot be asked: %(error)s", error=quoted(answers, settings)
            )
            return [unknown(CHECK, words)]
        signs = signs if isinstance(signs, Signs) else Signs()
        return judge(answers, signs, depth if isinstance(depth, int) else None)

    return workers


def judge(answers: Mapping[str, Sequence[str]], signs: Signs, depth: int | None = None) -> list[Finding]:
    """Return what to say, given the workers that answered through each broker that could be asked.

    `depth` is the number of messages in the queue, if it is known.
    """
    answering = len({name for names in answers.values() for name in names})
    more = []
    if signs.overdue:
        overdue = ngettext(
            "%(num)s mail has been overdue for more than a minute",
            "%(num)s mails have been overdue for more than a minute",
            signs.overdue,
        )
        more.append(overdue)
    if depth is not None:
        more.append(ngettext("%(num)s message in the queue", "%(num)s messages in the queue", depth))
    if not answering and signs.connected:
        words = gettext("no worker answers through the broker, though some are connected to the database")
        return [broken(CHECK, "; ".join([words, *more]), gettext(RESTART))]
    if not answering:
        return [broken(CHECK, "; ".join([gettext("no worker runs: all mails wait"), *more]), gettext(START))]
    words = "; ".join([ngettext("%(num)s worker answers", "%(num)s workers answer", answering), *more])
    findings = [warning(CHECK, words, gettext(LOGS)) if signs.overdue else good(CHECK, words)]
    first = next(iter(answers))
    if not answers[first]:
        words = gettext(
            "no worker listens at %(broker)s, the first broker that answers: messages are published there, and "
            "mails wait for the sweep",
            broker=first,
        )
        findings.append(warning(CHECK, words, gettext("Restart the workers.")))
    return findings


async def _signs(settings: Settings) -> Signs:
    url = plain(settings.session_database_url)
    async with await psycopg.AsyncConnection.connect(url, connect_timeout=4, autocommit=True) as connection:
        row = await (await connection.execute(STATE, (LONG,))).fetchone()
    assert row
    return Signs(overdue=int(row[0]), connected=int(row[1]) > 0)
