"""Tasks as a developer would add them, for the Celery tests: `celery -A tests.integration.worker_tasks worker`."""

import asyncio
import gc
import time

from celery import group, shared_task

from mailroom.kit.errors import MailroomError
from mailroom.progress.reports import report
from mailroom.worker import app


@app.task
def add(left: int, right: int) -> int:
    return left + right


@app.task
def slow(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


@app.task
def collected_and_spared() -> tuple[int, int]:
    """Return how many objects the garbage collector goes through, and how many it passes over."""
    return len(gc.get_objects()), gc.get_freeze_count()


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
        return await self.services.mail_administration.counts(work)


@app.task
def part(seconds: float, fails: bool = False) -> None:
    time.sleep(seconds)
    if fails:
        raise MailroomError("too dark")


@app.task
async def canvas(count: int) -> None:
    """Celery's own canvas under one ticket, as CONTRIBUTING has it."""
    parts = await asyncio.to_thread(group(add.s(n, 1) for n in range(count)).apply_async)
    ended = 0
    while ended < count:
        ended = await asyncio.to_thread(lambda: sum(part.ready() for part in parts))
        report(current=ended, total=count)
        await asyncio.sleep(0.1)


@app.task(cancellable=True)
async def stoppable() -> None:
    for current in range(600):
        report(current=current, total=600)
        await asyncio.sleep(0.05)


@app.task
def stubborn() -> None:
    for current in range(30):
        report(current=current, total=30)
        time.sleep(0.05)


@app.task(bind=True, max_retries=1)
def second_time_lucky(self) -> str:
    if not self.request.retries:
        raise self.retry(countdown=1, exc=ValueError("not yet"))
    return "lucky"


@shared_task
def shared(total: int) -> None:
    for current in range(total + 1):
        report(current=current, total=total, message=f"{current} shared")
        time.sleep(0.02)
