"""Events of accounts, tasks and alerts, which webhooks read."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, Index, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class Event(Base):
    """An event of an account, a task or an alert. Those of mails have a table of their own, `mail_events`."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    transaction: Mapped[int] = mapped_column(BigInteger, server_default=text("pg_current_xact_id()::text::bigint"))
    """The transaction that wrote it: readers take events in this order (`webhooks/fan_out.py`)."""
    type: Mapped[str] = mapped_column(Text)
    """``account.confirmed``, ``account.deleted``, ``task.ended``, ``alert.fired`` or ``alert.cleared``."""
    subject_id: Mapped[UUID] = mapped_column()
    """The account, task or alert."""
    key_id: Mapped[UUID | None] = mapped_column()
    """The API key that it belongs to; none: all endpoints but those with `own_only` are told of it."""
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index("ix_events_transaction", "transaction", "id"),)
