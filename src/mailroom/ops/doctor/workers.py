"""Workers: does any answer, and are there mails that a worker should have sent long ago?"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from mailroom.kit.text import counted
from mailroom.ops.doctor.database import plain
from mailroom.ops.doctor.findings import Finding, broken, good, quoted, unknown, warning
from mailroom.ops.entrypoints import Entrypoints
from mailroom.settings import Settings

CHECK = "workers"
LONG = 60
"""Seconds a mail may be overdue: a worker's sweep looks at it far sooner."""
START = "Start one: `mailroom worker`. One that was just started answers within some seconds."
LOGS = "See the workers' logs: they may not reach the database, or are very busy."
RESTART = "See the workers' logs and restart them. web and worker must have the same REDIS_URL and BROKER_URL."
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
            return [
                unknown(CHECK, f"the broker cannot be used, so they cannot be asked: {quoted(answers, settings)}")
            ]
        waiting = f"; {counted(depth, 'message')} in the queue" if isinstance(depth, int) else ""
        return judge(answers, signs if isinstance(signs, Signs) else Signs(), waiting)

    return workers


def judge(answers: Mapping[str, Sequence[str]], signs: Signs, waiting: str) -> list[Finding]:
    """Return what to say, given the workers that answered through each broker that could be asked."""
    answering = len({name for names in answers.values() for name in names})
    late = ""
    if signs.overdue:
        have = "has" if signs.overdue == 1 else "have"
        late = f"{counted(signs.overdue, 'mail')} {have} been overdue for more than a minute"
    if not answering and signs.connected:
        words = "no worker answers through the broker, though some are connected to the database"
        return [broken(CHECK, f"{words}{f', and {late}' if late else ''}{waiting}", RESTART)]
    if not answering:
        return [broken(CHECK, f"no worker runs{f', and {late}' if late else ': all mails wait'}{waiting}", START)]
    answer = f"{counted(answering, 'worker')} {'answers' if answering == 1 else 'answer'}"
    findings = [
        warning(CHECK, f"{answer}, and yet {late}{waiting}", LOGS) if late else good(CHECK, answer + waiting)
    ]
    first = next(iter(answers))
    if not answers[first]:
        words = f"none listens at {first}, the first broker that answers, where messages are published"
        findings.append(warning(CHECK, f"{words}; mails wait for the sweep", "Restart the workers."))
    return findings


async def _signs(settings: Settings) -> Signs:
    url = plain(settings.database_url)
    async with await psycopg.AsyncConnection.connect(url, connect_timeout=4, autocommit=True) as connection:
        row = await (await connection.execute(STATE, (LONG,))).fetchone()
    assert row
    return Signs(overdue=int(row[0]), connected=int(row[1]) > 0)
