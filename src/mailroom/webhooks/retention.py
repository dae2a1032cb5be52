"""Deliveries that ended are kept for a month; those about an account only as long as it is there."""

from datetime import timedelta
from uuid import UUID

from mailroom.kit.database import Database, PlainWork

FORGET_SUBJECT = "delete from webhook_deliveries where subject_id = %(subject_id)s"
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


async def forget_deliveries(work: PlainWork, subject_id: UUID) -> None:
    """Delete the deliveries that tell of this account, sent or not: what they say names its address."""
    await work.write(FORGET_SUBJECT, {"subject_id": subject_id})
