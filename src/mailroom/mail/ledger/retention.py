"""How long what has ended is kept: first a mail's contents go, much later its row and its ticket."""

from datetime import timedelta

from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.kit.ids import first_id

MOST = 5000
"""Rows one clean-up deletes at most: a bounded piece of work; the next one goes on."""

# Said twice: a person may be sending it again at this moment. A mail that is held as uncertain has ended, too: it
# waits for a person who may never come.
DROP_BODIES = """
with old as materialized (
    select id from mails where params is not null and ended_at < now() - %(age)s limit %(most)s
)
update mails set params = null, nonce = null from old
where mails.id = old.id and ended_at < now() - %(age)s
"""

# Ids tell the time, so the index of the ids finds what is old. What has not ended is not looked for.
DELETE_MAILS = """
with old as materialized (
    select id from mails where id < %(before)s and ended_at < now() - %(age)s
    order by id limit %(most)s for update skip locked
), tickets as (
    delete from tasks where id in (select id from old)
)
delete from mails where id in (select id from old)
"""

DELETE_TASKS = """
with old as materialized (
    select id from tasks where id < %(before)s and part_of is null and ended_at < now() - %(age)s
    order by id limit %(most)s for update skip locked
)
delete from tasks where id in (select id from old)
"""


class Retention:
    """Forgets, `bodies` after a mail's end, what it was about; `rows` after its end, that there was one."""

    def __init__(self, database: Database, *, bodies: timedelta, rows: timedelta) -> None:
        self._database = database
        self._bodies = bodies
        self._rows = rows

    async def clean_up(self) -> None:
        """Forget a bounded number of what is old enough; the sweep calls this."""
        await self._database.fetch(DROP_BODIES, {"age": self._bodies, "most": MOST})
        old = {"age": self._rows, "before": first_id(clock.now() - self._rows), "most": MOST}
        await self._database.fetch(DELETE_MAILS, old)
        await self._database.fetch(DELETE_TASKS, old)
