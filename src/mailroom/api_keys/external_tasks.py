"""Celery tasks of other apps on the same result backend, which a key lets others watch."""

from typing import Any
from uuid import UUID

from mailroom.kit.ids import new_id
from mailroom.kit.unit_of_work import PlainWork

KNOWN = "select exists (select from mails where id = %(task)s) or exists (select from tasks where id = %(task)s)"
REGISTER = """
insert into external_tasks (id, celery_id, key_id, title) values (%(id)s, %(celery_id)s, %(key_id)s, %(title)s)
on conflict (celery_id) do update set title = excluded.title where external_tasks.key_id = excluded.key_id
returning id
"""


class KnownTask(Exception):
    """The id is that of a row of Mailroom's own, or of another key's task: its rights are decided elsewhere."""


async def register(work: PlainWork, key_id: UUID, celery_id: str, title: str) -> UUID:
    """Let this key's tokens open a task; return the id that they hold. Raises `KnownTask`, ValueError."""
    task = UUID(celery_id)
    rows: list[Any] = await work.fetch(KNOWN, {"task": task})
    if rows[0][0]:
        raise KnownTask
    made: list[Any] = await work.fetch(
        REGISTER, {"id": new_id(), "celery_id": str(task), "key_id": key_id, "title": title}
    )
    if not made:
        raise KnownTask
    found: UUID = made[0][0]
    return found
