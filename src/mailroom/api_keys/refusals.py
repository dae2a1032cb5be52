"""What was refused to each key lately, and why, for whoever repairs the program. No contents are kept."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from mailroom.api_keys.models import KeyRefusal
from mailroom.kit.database import Database, UnitOfWork
from mailroom.kit.errors import Unavailable

logger = logging.getLogger(__name__)

KEPT = 50
"""Refusals that are kept of a key: the newest."""
REST = 0.2
"""Seconds between two that a process writes of one key: a program that loops must not load the database."""
MOST_KEYS = 1000
LONGEST_FIELD = 100

NOTE = """
with noted as (
    insert into api_key_refusals (key_id, door, request, status, name, field)
    select %(key_id)s, %(door)s, %(request)s, %(status)s, %(name)s, %(field)s
    where exists (select from api_keys where id = %(key_id)s)
)
delete from api_key_refusals where key_id = %(key_id)s and id <= (
    select id from api_key_refusals where key_id = %(key_id)s order by id desc offset %(kept)s - 1 limit 1
)
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was refused; the fields are those of `KeyRefusal`."""

    door: str
    request: str
    status: int
    name: str
    field: str | None = None


class KeyRefusals:
    """The table of refusals."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[UUID, float] = {}

    async def note(self, key_id: UUID, refused: Refused) -> None:
        """Keep a refusal of a key, unless another one of the key was kept a moment ago. Raises nothing."""
        now = time.monotonic()
        if now - self._noted.get(key_id, -REST) < REST:
            return
        if len(self._noted) >= MOST_KEYS:
            self._noted.clear()
        self._noted[key_id] = now
        facts: dict[str, Any] = {
            "key_id": key_id,
            "door": refused.door,
            "request": refused.request,
            "status": refused.status,
            "name": refused.name,
            "field": refused.field[:LONGEST_FIELD] if refused.field else None,
            "kept": KEPT,
        }
        try:
            await self._database.fetch(NOTE, facts)
        except Unavailable:
            pass
        except Exception:  # the refusal itself must reach the program
            logger.exception("a refusal of a key could not be noted")

    async def newest(self, work: UnitOfWork, key_id: UUID) -> Sequence[KeyRefusal]:
        """Return what is kept of a key, the newest first."""
        query = select(KeyRefusal).where(KeyRefusal.key_id == key_id).order_by(KeyRefusal.id.desc()).limit(KEPT)
        return (await work.session.scalars(query)).all()

    async def last_of(self, work: UnitOfWork, key_ids: Sequence[UUID]) -> dict[UUID, KeyRefusal]:
        """Return the newest refusal of each of these keys that has one."""
        newest = select(func.max(KeyRefusal.id)).where(KeyRefusal.key_id.in_(key_ids)).group_by(KeyRefusal.key_id)
        query = select(KeyRefusal).where(KeyRefusal.id.in_(newest))
        return {row.key_id: row for row in (await work.session.scalars(query)).all()}
