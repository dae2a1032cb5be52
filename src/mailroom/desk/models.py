"""The tables of the desk: the audit log, saved searches, acts on many mails."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, Text, func, text
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


class SavedSearch(Base):
    """A search that an operator saved under a name."""

    __tablename__ = "saved_searches"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    query: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index("uq_saved_searches_account_id_name", "account_id", "name", unique=True),)


class BulkActionRow(Base):
    """An act on all mails of a search, and how far its task has come; each chunk commits with its counts."""

    __tablename__ = "bulk_actions"

    id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    """The task that does it."""
    action: Mapped[str] = mapped_column(Text)
    """``retry`` or ``cancel``."""
    query: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """The search's window as it was confirmed: what comes later is not meant."""
    reached: Mapped[UUID | None] = mapped_column()
    """The mail up to which it is done, in the order of ids."""
    total: Mapped[int | None] = mapped_column(BigInteger)
    """How many mails were meant when it began."""
    changed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    left_alone: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Mails that could not be changed: their state forbids it, or their contents are dropped."""
