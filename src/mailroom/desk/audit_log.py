"""The audit log: who did what, on what, from where, when. Written in the transaction of the act."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import select

from mailroom.desk.models import AuditEntry
from mailroom.kit.database import PlainWork, UnitOfWork

WRITE = """
insert into audit_log (actor, actor_id, actor_name, action, target, target_id, client, details)
values (%(actor)s, %(actor_id)s, %(actor_name)s, %(action)s, %(target)s, %(target_id)s, %(client)s, %(details)s)
"""


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever acts: an account, a key, somebody in the shell, or Mailroom itself."""

    kind: Literal["account", "key", "shell", "mailroom"]
    name: str
    id: UUID | None = None
    client: str | None = None
    """The network address that the act came from."""


class AuditLog:
    """Adds entries and reads them; nothing changes or removes one."""

    async def write(
        self,
        work: PlainWork,
        actor: Actor,
        action: str,
        *,
        target: str | None = None,
        target_id: UUID | str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an entry in `work`. `action` is a code (``key.created``); `details` hold nothing secret."""
        entry = {
            "actor": actor.kind,
            "actor_id": actor.id,
            "actor_name": actor.name,
            "action": action,
            "target": target,
            "target_id": str(target_id) if target_id is not None else None,
            "client": actor.client,
            "details": Jsonb(dict(details or {})),
        }
        await work.write(WRITE, entry)

    async def entries(
        self,
        work: UnitOfWork,
        *,
        actor_id: UUID | None = None,
        target_id: str | None = None,
        action: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[AuditEntry]:
        """Return the newest entries, those before the number `before` if given."""
        query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
        if actor_id:
            query = query.where(AuditEntry.actor_id == actor_id)
        if target_id:
            query = query.where(AuditEntry.target_id == target_id)
        if action:
            query = query.where(AuditEntry.action == action)
        if before:
            query = query.where(AuditEntry.id < before)
        return (await work.session.scalars(query)).all()
