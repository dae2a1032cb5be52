"""The end of a pause of background tasks. The statements that begin and publish tasks read `pauses` themselves."""

from datetime import timedelta

from mailroom.kit.database import PlainWork
from mailroom.tasks.queries import RESUME
from mailroom.tasks.runs import BUSY_GRACE


async def release_tasks(work: PlainWork) -> None:
    """Have every task published that waits: by the next sweep, within seconds."""
    await work.write(RESUME, {"grace": BUSY_GRACE + timedelta(seconds=1)})
