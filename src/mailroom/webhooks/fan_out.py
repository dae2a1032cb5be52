"""From events to deliveries: each event is read once, and a delivery is written for each endpoint that wants it.

Events are read in the order of their transactions, and only those older than every transaction that is under way:
ids are handed out before the commit, so a reader that went by ids alone would pass over a row that commits late.
One process reads at a time, under an advisory lock; the cursor moves in the transaction of the deliveries.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from mailroom.kit.database import Database
from mailroom.kit.ids import new_id
from mailroom.kit.statements import Raw
from mailroom.webhooks.payloads import MAIL_EVENTS, of_event, of_mail

LOCK = 0x77686F6F  # "whoo"
MOST = 500
"""Events that one round reads of each table."""

ENDPOINTS = "select id, events, key_id, own_only from webhook_endpoints where disabled_at is null"
CURSOR = """
insert into event_cursors (name) values (%(name)s)
on conflict (name) do update set name = excluded.name returning transaction, event_id
"""
MOVE = "update event_cursors set transaction = %(transaction)s, event_id = %(event_id)s where name = %(name)s"
READY = """
    where e.transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
        and (e.transaction, e.id) > (%(transaction)s, %(event_id)s)
    order by e.transaction, e.id limit %(most)s
"""
OF_MAILS = f"""
select e.id, e.transaction, e.type, e.at, e.code, e.enhanced, e.diagnostic, e.mail_id, attempts.reason,
    mails.recipient, mails.message_id, m.sender, m.subject, m.tags, m.key_id, m.created_at as message_created_at
from (select * from mail_events e {READY}) as e
join mails on mails.id = e.mail_id join messages m on m.id = mails.message_id
left join attempts on attempts.mail_id = e.mail_id and attempts.attempt = e.attempt
order by e.transaction, e.id
"""  # noqa: S608  # only our own constants
OF_OTHERS = f"select e.* from events e {READY}"  # noqa: S608
LAST_READ = f"""
select transaction, id from (select * from mail_events e {READY}) as e order by transaction desc, id desc limit 1
"""  # noqa: S608
SKIP_ALL = """
insert into event_cursors (name, transaction, event_id)
select name, pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, 9223372036854775807
from (values ('mail_events'), ('events')) as tables (name)
on conflict (name) do update set transaction = excluded.transaction, event_id = excluded.event_id
where event_cursors.transaction < excluded.transaction
"""
PUT = """
insert into webhook_deliveries (id, endpoint_id, subject_id, type, payload)
select * from unnest(%(ids)s::uuid[], %(endpoints)s::uuid[], %(subjects)s::uuid[], %(types)s::text[],
    %(payloads)s::jsonb[])
"""

Row = Mapping[str, Any]


class FanOut:
    """Reads events and writes deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> int:
        """Read what is new; return how many deliveries that made. Does nothing while another process reads."""
        async with self._database.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute("select pg_try_advisory_xact_lock(%s) as mine", (LOCK,))
            locked = await cursor.fetchone()
            if not locked or not locked["mine"]:
                return 0
            await cursor.execute(ENDPOINTS)
            endpoints = await cursor.fetchall()
            if not endpoints:  # nobody is told: the events so far are skipped, not read
                await cursor.execute(SKIP_ALL)
                return 0
            made = await self._read(connection, "mail_events", OF_MAILS, endpoints)
            return made + await self._read(connection, "events", OF_OTHERS, endpoints)

    async def _read(self, connection: Raw, name: str, query: str, endpoints: Sequence[Row]) -> int:
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(CURSOR, {"name": name})
        at = await cursor.fetchone() or {}
        arguments = {**at, "most": MOST}
        await cursor.execute(query, arguments)
        rows = await cursor.fetchall()
        last = rows[-1] if rows else None
        if name == "mail_events":  # events whose mail was deleted meanwhile are skipped
            await cursor.execute(LAST_READ, arguments)
            last = await cursor.fetchone()
        if last is None:
            return 0
        move = {"name": name, "transaction": last["transaction"], "event_id": last["id"]}
        await cursor.execute(MOVE, move)
        deliveries = [delivery for row in rows for delivery in _deliveries(name, row, endpoints)]
        if deliveries:
            deliveries.sort(key=lambda delivery: delivery[0])
            ids, wanted, subjects, types, payloads = zip(*(one[1:] for one in deliveries), strict=True)
            await cursor.execute(
                PUT,
                {
                    "ids": list(ids),
                    "endpoints": list(wanted),
                    "subjects": list(subjects),
                    "types": list(types),
                    "payloads": list(payloads),
                },
            )
        return len(deliveries)


def _deliveries(name: str, row: Row, endpoints: Sequence[Row]) -> list[tuple[int, UUID, UUID, UUID, str, Jsonb]]:
    """Return (order, id, endpoint, subject, type, payload) for each endpoint that is told of this event."""
    of_a_mail = name == "mail_events"
    kind = MAIL_EVENTS.get(row["type"], "") if of_a_mail else row["type"]
    subject = row["mail_id"] if of_a_mail else row["subject_id"]
    payload: Jsonb | None = None
    found = []
    for endpoint in endpoints:
        own = endpoint["key_id"] is not None and endpoint["key_id"] == row["key_id"]
        if kind in endpoint["events"] and (own or not endpoint["own_only"]):
            payload = payload or Jsonb(of_mail(row) if of_a_mail else of_event(row))
            found.append((row["id"], new_id(), endpoint["id"], subject, kind, payload))
    return found
