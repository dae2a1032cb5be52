"""The audit log: every act of an operator, a key or the shell is a row."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, Index, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class AuditEntry(Base):
    """Who did what, on what, from where, when. Rows are only ever added."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    actor: Mapped[str] = mapped_column(Text)
    """``account``, ``key``, ``shell`` or ``mailroom``."""
    actor_id: Mapped[UUID | None] = mapped_column()
    """The account's or the key's id. No foreign key: the entry outlives both."""
    actor_name: Mapped[str] = mapped_column(Text)
    """What it was called then: an address, a key's name, a user of the machine."""
    action: Mapped[str] = mapped_column(Text)
    """A code: ``key.created``, ``mail.retried``."""
    target: Mapped[str | None] = mapped_column(Text)
    """What it was done to: ``mail``, ``key``, ``account``."""
    target_id: Mapped[str | None] = mapped_column(Text)
    client: Mapped[str | None] = mapped_column(Text)
    """The network address it came from; none: the shell."""
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    """Parameters; nothing secret."""

    __table_args__ = (
        Index("ix_audit_log_actor_id", "actor_id", "id"),
        Index("ix_audit_log_target_id", "target_id", "id"),
    )
