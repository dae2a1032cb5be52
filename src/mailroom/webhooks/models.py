"""Endpoints that other programs named, and each delivery to them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base

WAITS = text("next_at IS NOT NULL")


class WebhookEndpoint(Base):
    """An address that is told of events by POST."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Types that it is told of."""
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    """What deliveries are signed with, encrypted under SECRET_KEY."""
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"))
    """The API key that made it."""
    own_only: Mapped[bool] = mapped_column(server_default=text("false"))
    """True if it is told of that key's mails only."""
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    """The account that is told when it is disabled."""
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    """``by hand``, ``gone`` (it answered 410) or ``failing`` (five days without a success)."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class WebhookDelivery(Base):
    """One event for one endpoint."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """Also its `webhook-id`, the same in each attempt: receivers know a repeat by it."""
    number: Mapped[int] = mapped_column(BigInteger, Identity())
    """The order of one subject's deliveries."""
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    subject_id: Mapped[UUID] = mapped_column()
    """The mail, task, account or alert; its deliveries are sent one after the other."""
    type: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    """``waiting``, ``delivered`` or ``failed``."""
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    next_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When it is sent next; while it is being sent: when its worker counts as lost."""
    status: Mapped[int | None] = mapped_column(SmallInteger)
    """The HTTP status of the last attempt."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt failed: a code of `webhooks/sender.py`."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index("ix_webhook_deliveries_due", "endpoint_id", "next_at", postgresql_where=WAITS),
        Index("ix_webhook_deliveries_subject", "endpoint_id", "subject_id", "number", postgresql_where=WAITS),
        Index("ix_webhook_deliveries_endpoint_id", "endpoint_id", "number"),
        Index("ix_webhook_deliveries_ended_at", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )


class EventCursor(Base):
    """How far the events of a table were read."""

    __tablename__ = "event_cursors"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    transaction: Mapped[int] = mapped_column(BigInteger, server_default="0")
    event_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
