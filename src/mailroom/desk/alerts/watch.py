"""Evaluates the alert rules. Web and worker processes both do: workers cannot report that no worker runs.

One process at a time evaluates, under an advisory lock. Telling is a step of its own, after the commit: a mail
server that hangs holds up no evaluation.
"""

import asyncio
import logging
import random
from datetime import datetime, timedelta
from typing import Any

from mailroom.desk.alerts.book import (
    AlertView,
    current_alerts,
    note_conditions,
    reached,
    take_to_tell,
    told,
)
from mailroom.desk.alerts.causes import main_cause
from mailroom.desk.alerts.rules import FAILURE_WINDOW, FEW_FAILURES, View, conditions
from mailroom.desk.alerts.teller import Teller
from mailroom.desk.backlog import backlog
from mailroom.desk.processes.readings import last_worker_seen, processes
from mailroom.kit.database import Database, PlainWork
from mailroom.kit.errors import Unavailable
from mailroom.mail.ledger.pauses import pauses
from mailroom.mail.states import State
from mailroom.statistics.counters import Counters
from mailroom.statistics.names import ENDED, WAITING
from mailroom.statistics.readings import FAILURES, lately

logger = logging.getLogger(__name__)

LOCK = 0x616C7274  # "alrt"
EVERY = 5.0
"""Seconds between two evaluations by any of the processes, on average."""
LONGEST_PAUSE = 15.0
"""Seconds between two evaluations of one process, at most."""
TRIED_FOR = timedelta(hours=1)
"""How long telling the remaining people is tried, once an alert has reached somebody."""
TRY_LOCK = "select pg_try_advisory_xact_lock(%(lock)s), now()"


async def view(work: PlainWork, now: datetime) -> View:
    """Read what the rules need."""
    counts = await lately(work, [ENDED], now - FAILURE_WINDOW)
    ended = sum(count for (_, label), count in counts.items() if label != State.CANCELLED)
    failed = sum(count for (_, label), count in counts.items() if label in FAILURES)
    return View(
        now=now,
        processes=await processes(work),
        last_worker=await last_worker_seen(work),
        backlog=await backlog(work),
        ended=ended,
        failed=failed,
        cause=await main_cause(work) if failed > FEW_FAILURES else {},
        paused=any(pause.holds_back("transactional") for pause in await pauses(work)),
    )


def _is_late(alert: AlertView, now: datetime) -> bool:
    """Tell whether an alert is older than `TRIED_FOR`: then those who could not be told are given up."""
    return now - (alert.ended_at or alert.fired_at or now) > TRIED_FOR


class AlertWatch:
    """Evaluates the rules and tells of what they find, while the process runs."""

    def __init__(self, database: Database, teller: Teller, counters: Counters | None = None) -> None:
        self._database = database
        self._counters = counters or Counters()
        self._teller = teller
        self._alive = 1
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.create_task(self._run(), name="alerts")

    async def close(self) -> None:
        """Stop."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def evaluate(self) -> bool:
        """Evaluate the rules once; False if another process does. Raises `Unavailable`."""
        async with self._database.begin_plain() as work:
            rows: list[Any] = await work.fetch(TRY_LOCK, {"lock": LOCK})
            mine, now = rows[0]
            if not mine:
                return False
            before = {(alert.rule, alert.subject) for alert in await current_alerts(work)}
            seen = await view(work, now)
            self._alive = sum(one.state == "alive" for one in seen.processes)
            self._counters.look(WAITING, seen.backlog.waiting)
            await note_conditions(work, now, conditions(seen, before))
        return True

    async def tell(self) -> None:
        """Tell of alerts that fired or ended; those whom it did not reach are told later. Raises `Unavailable`."""
        async with self._database.begin_plain() as work:
            alerts = await take_to_tell(work)
        together: dict[frozenset[str], list[AlertView]] = {}
        for alert in alerts:
            together.setdefault(frozenset(alert.reached), []).append(alert)
        for before, some in together.items():
            outcome = await self._teller.tell(some, but=before)
            async with self._database.begin_plain() as work:
                now: Any = (await work.fetch("select now()", {}))[0][0]
                for alert in some:
                    if outcome.everybody or (outcome.reached and _is_late(alert, now)):
                        await told(work, alert)
                    elif outcome.reached:
                        await reached(work, alert, outcome.reached)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(min(EVERY * max(1, self._alive), LONGEST_PAUSE) * random.uniform(0.7, 1.3))  # noqa: S311
            try:
                if await self.evaluate():
                    await self.tell()
            except Unavailable:
                continue  # readiness and the sweep report that
            except Exception:
                logger.exception("the alerts could not be evaluated; the next evaluation tries again")
