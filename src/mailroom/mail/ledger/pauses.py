"""Pauses: an operator holds back all mails, those of a stream or of a kind; or background tasks.

Claims of mails and the statements that begin tasks read these rows themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.rows import class_row

from mailroom.kit.database import PlainWork
from mailroom.mail.states import Reason

What = Literal["all", "stream", "kind", "tasks"]

LIST = "select what, name, since, by_name from pauses order by since"
PAUSE = """
insert into pauses (what, name, by_name) values (%(what)s, %(name)s, %(by_name)s) on conflict do nothing
returning what
"""
RESUME = "delete from pauses where what = %(what)s and name = %(name)s returning what"
# Mails that another pause holds back are put off again when they are claimed.
RELEASE = """
with held as materialized (
    select id from mails where state = 'retrying' and reason = %(reason)s order by id for update skip locked
)
update mails set next_attempt_at = clock_timestamp(), nudge_at = clock_timestamp(), step = step + 1
from held where mails.id = held.id
"""


@dataclass(frozen=True, slots=True)
class Pause:
    """What is held back, since when, and by whom."""

    what: str
    name: str
    since: datetime
    by_name: str

    def holds_back(self, stream: str, kind: str | None = None) -> bool:
        """Tell whether this pause holds back mails of this stream and kind."""
        return self.what == "all" or (self.what, self.name) in {("stream", stream), ("kind", kind)}


async def pauses(work: PlainWork) -> Sequence[Pause]:
    """Return every pause, the oldest first."""
    return await work.fetch(LIST, {}, class_row(Pause))


async def pause(work: PlainWork, what: What, name: str, by_name: str) -> bool:
    """Hold back what is named; False if it is held back already. What is under way goes on."""
    rows: list[Any] = await work.fetch(PAUSE, {"what": what, "name": name, "by_name": by_name})
    return bool(rows)


async def resume(work: PlainWork, what: What, name: str) -> bool:
    """Let what is named go again; False if it was not held back. The sweep publishes it within seconds.

    After the end of a pause of tasks is committed, call `release_tasks`.
    """
    rows: list[Any] = await work.fetch(RESUME, {"what": what, "name": name})
    if rows and what != "tasks":
        await work.write(RELEASE, {"reason": Reason.PAUSED})
    return bool(rows)
