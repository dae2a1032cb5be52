"""The end of a pause of background tasks. The statements that begin and publish tasks read `pauses` themselves."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.kit.ids import new_id
from mailroom.tasks.queries import RESUME
from mailroom.tasks.runs import BUSY_GRACE
from mailroom.tasks.states import TaskState

BATCH = 2_000
"""Tasks that one statement releases: it takes a fraction of a second, and so do its locks."""


async def release_tasks(database: Database, *, batch: int = BATCH) -> None:
    """Have the next sweep, within seconds, publish every task that waits. Call this once the pause is over.

    Tasks that others lock are left to the sweep, and so is the rest if PostgreSQL goes away meanwhile: the sweep
    publishes them within six minutes.
    """
    last = new_id()
    with suppress(Unavailable):
        for state in (TaskState.QUEUED, TaskState.RETRYING):
            after = UUID(int=0)
            while True:
                values = {
                    "state": state,
                    "after": after,
                    "last": last,
                    "batch": batch,
                    "grace": BUSY_GRACE + timedelta(seconds=1),
                }
                released: list[tuple[UUID]] = await database.fetch(RESUME, values)
                if not released:
                    break
                after = max(row[0] for row in released)
