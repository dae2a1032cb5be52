"""Tasks as a developer would add them, for the Celery tests: `celery -A tests.integration.worker_tasks worker`."""

import asyncio
import time

from mailroom.progress.reporting import report
from mailroom.worker import app


@app.task
def add(left: int, right: int) -> int:
    return left + right


@app.task
def slow(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


@app.task
def broken() -> None:
    raise ValueError("this one always fails")


@app.task
def counting(total: int) -> int:
    for current in range(1, total + 1):
        report(current=current, total=total, message=f"{current} of {total}")
        time.sleep(0.05)
    return total


@app.task(bind=True)
async def mails_in_database(self) -> dict[str, int]:
    """A coroutine task with the application's services."""
    await asyncio.sleep(0.01)
    async with self.services.database.begin() as work:
        return await self.services.mailbox.counts(work)
