"""Workers: do any answer, and does mail lie about that should long have gone?"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from mailroom.kit.text import counted
from mailroom.ops.doctor.database import plain
from mailroom.ops.doctor.findings import Finding, broken, care, good, quoted, unknown
from mailroom.ops.entrypoints import Entrypoints
from mailroom.settings import Settings

CHECK = "workers"
LONG = 60
"""Seconds a mail may be overdue: a worker's sweep looks at it far sooner."""
START = "Start one: `mailroom worker`; one just started answers within some seconds."
# A sweep moves nudge_at on, so a row whose moment is long past was seen by no worker since.
LYING = "select count(*) from mails where nudge_at < now() - make_interval(secs => %s)"


def check(doors: Entrypoints) -> Callable[[Settings], Awaitable[list[Finding]]]:
    """Return the check; it asks through `doors`, since only the rooms above know Celery."""

    async def workers(settings: Settings) -> list[Finding]:
        lying, depth = await asyncio.gather(
            _lying(settings), asyncio.to_thread(doors.queue_depth, settings), return_exceptions=True
        )
        late = lying if isinstance(lying, int) else 0
        waiting = f"; {counted(depth, 'message')} in the queue" if isinstance(depth, int) else ""
        try:
            names = await asyncio.to_thread(doors.workers, settings)
        except Exception as error:
            return [unknown(CHECK, f"they cannot be asked, the broker is away: {quoted(error, settings)}")]
        return [_judge(len(names), late, waiting)]

    return workers


def _judge(answering: int, late: int, waiting: str) -> Finding:
    answer = "no worker answers"
    if answering:
        answer = f"{counted(answering, 'worker')} {'answers' if answering == 1 else 'answer'}"
    if late:
        lying = f"{counted(late, 'mail')} {'has' if late == 1 else 'have'} been overdue for more than a minute"
        if not answering:
            return broken(CHECK, f"{answer}, and {lying}{waiting}", START)
        advice = "See the workers' logs: they may not reach the database, or are very busy."
        return care(CHECK, f"{answer}, and yet {lying}{waiting}", advice)
    if not answering:
        return care(CHECK, f"{answer}: mails will wait until one runs{waiting}", START)
    return good(CHECK, f"{answer}{waiting}")


async def _lying(settings: Settings) -> int:
    url = plain(settings.database_url)
    async with await psycopg.AsyncConnection.connect(url, connect_timeout=4, autocommit=True) as connection:
        row: Any = await (await connection.execute(LYING, (LONG,))).fetchone()
    return int(row[0])
