"""Deliveries that ended are kept for a month."""

from datetime import timedelta

from mailroom.kit.database import Database

KEPT = timedelta(days=30)
FORGET = """
with old as materialized (
    select id from webhook_deliveries where ended_at < now() - %(kept)s order by ended_at limit 5000
)
delete from webhook_deliveries where id in (select id from old)
"""


async def forget_old_deliveries(database: Database) -> None:
    """Delete a bounded number of them; the sweep calls this."""
    await database.fetch(FORGET, {"kept": KEPT})
