"""How long ended mails and tasks are kept: the contents of a mail go first, its row and ticket much later."""

from datetime import timedelta

from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.kit.ids import first_id

MOST = 5000
"""Rows that one clean-up changes at most; the next one continues."""

# The age is checked twice, since a person may queue the mail again at this moment. A mail that is held as
# uncertain counts as ended, too: the person it waits for may never come.
DROP_BODIES = """
with old as materialized (
    select id from mails where params is not null and ended_at < now() - %(age)s limit %(most)s
)
update mails set params = null, nonce = null from old
where mails.id = old.id and ended_at < now() - %(age)s
"""

# Ids contain the time (UUID version 7), so the primary key finds old rows. Rows that have not ended stay.
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
    """Drops contents of mails `bodies` after their end, and rows of mails and tasks `rows` after their end."""

    def __init__(self, database: Database, *, bodies: timedelta, rows: timedelta) -> None:
        self._database = database
        self._bodies = bodies
        self._rows = rows

    async def clean_up(self) -> None:
        """Drop what is old enough, at most `MOST` rows each. The sweep calls this. Raises `Unavailable`."""
        await self._database.fetch(DROP_BODIES, {"age": self._bodies, "most": MOST})
        old = {"age": self._rows, "before": first_id(clock.now() - self._rows), "most": MOST}
        await self._database.fetch(DELETE_MAILS, old)
        await self._database.fetch(DELETE_TASKS, old)
