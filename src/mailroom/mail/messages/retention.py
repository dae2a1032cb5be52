"""How long messages are kept: first their contents go, and their rows once the last mail's row has gone."""

from datetime import timedelta

from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.kit.ids import first_id

MOST = 1000
"""Messages that one clean-up drops at most."""

# Ids contain the time: the primary key finds what is old enough to be checked.
DROP_CONTENTS = """
with old as materialized (
    select message_id from message_contents
    where message_id < %(before)s and not exists (
        select from mails where mails.message_id = message_contents.message_id
            and (ended_at is null or ended_at >= now() - %(age)s)
    )
    order by message_id limit %(most)s for update skip locked
)
delete from message_contents where message_id in (select message_id from old)
"""
DELETE_MESSAGES = """
with old as materialized (
    select id from messages
    where id < %(before)s and not exists (select from mails where mails.message_id = messages.id)
    order by id limit %(most)s for update skip locked
)
delete from messages where id in (select id from old)
"""


class MessageRetention:
    """Drops contents `bodies` after the end of a message's last mail; rows go after those of its mails."""

    def __init__(self, database: Database, *, bodies: timedelta, rows: timedelta) -> None:
        self._database = database
        self._bodies = bodies
        self._rows = rows

    async def clean_up(self) -> None:
        """Drop a bounded number of what is old enough; the sweep calls this."""
        before = first_id(clock.now() - self._bodies)
        await self._database.fetch(DROP_CONTENTS, {"before": before, "age": self._bodies, "most": MOST})
        await self._database.fetch(DELETE_MESSAGES, {"before": first_id(clock.now() - self._rows), "most": MOST})
