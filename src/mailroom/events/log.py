"""Writes events, in the transaction of what happened."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from mailroom.kit.database import Database
from mailroom.kit.unit_of_work import PlainWork, UnitOfWork

WRITE = """
insert into events (type, subject_id, key_id, data) values (%(type)s, %(subject_id)s, %(key_id)s, %(data)s)
"""
KEPT = timedelta(days=7)
FORGET_SUBJECT = "delete from events where subject_id = %(subject_id)s"
FORGET = "delete from events where at < now() - %(kept)s"


async def note(
    work: UnitOfWork | PlainWork,
    kind: str,
    subject_id: UUID,
    data: Mapping[str, Any],
    *,
    key_id: UUID | None = None,
) -> None:
    """Write an event; `data` holds what webhooks tell of it, nothing secret."""
    arguments = {"type": kind, "subject_id": subject_id, "key_id": key_id, "data": Jsonb(dict(data))}
    await work.write(WRITE, arguments)


async def forget(work: PlainWork, subject_id: UUID) -> None:
    """Delete the events of an account or a task."""
    await work.write(FORGET_SUBJECT, {"subject_id": subject_id})


async def forget_old(database: Database) -> None:
    """Delete events that every reader has long read; the sweep calls this."""
    await database.fetch(FORGET, {"kept": KEPT})
