"""API keys, and what was answered under an Idempotency-Key."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class ApiKey(Base):
    """A key that lets a program use Mailroom. The key itself is stored nowhere, only its SHA-256."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    start: Mapped[str] = mapped_column(Text)
    """The first characters of the key, by which people recognise it."""
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scope: Mapped[str] = mapped_column(Text)
    """``sending``, ``read`` or ``full``."""
    domains: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """Domains (in ASCII) that it may send From; none given: the domain of MAIL_FROM."""
    origins: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """Origins of pages that may show where its mails are."""
    test: Mapped[bool] = mapped_column(server_default=text("false"))
    """True: its mails go the whole way, but to no mail server."""
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    """The account that made it; none: made in the shell."""
    per_minute: Mapped[int | None] = mapped_column(Integer)
    per_hour: Mapped[int | None] = mapped_column(Integer)
    per_day: Mapped[int | None] = mapped_column(Integer)
    """Mails it may send in that time; more wait their turn."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Written at most once a minute."""
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class KeyRefusal(Base):
    """A request of a key that was refused: what and why, nothing of its contents. Each key has a few."""

    __tablename__ = "api_key_refusals"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    door: Mapped[str] = mapped_column(Text)
    """``http`` or ``smtp``."""
    request: Mapped[str] = mapped_column(Text)
    """A route (``POST /api/v1/emails``) or a command of SMTP."""
    status: Mapped[int] = mapped_column(SmallInteger)
    """The status of HTTP or the reply code of SMTP."""
    name: Mapped[str] = mapped_column(Text)
    """The name of the error; over SMTP its enhanced status code."""
    field: Mapped[str | None] = mapped_column(Text)
    """The field that was wrong."""

    __table_args__ = (Index("ix_api_key_refusals_key_id", "key_id", "id"),)


class SendingLimit(Base):
    """The next free moment of a limit (GCRA): of a key, a receiving domain or the upstream server."""

    __tablename__ = "sending_limits"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    free_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class IdempotentRequest(Base):
    """The answer to a request with an Idempotency-Key, committed with the rows that it made."""

    __tablename__ = "idempotent_requests"

    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of route and payload."""
    message_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index("ix_idempotent_requests_created_at", "created_at"),)


class ExternalTask(Base):
    """A Celery task of another app on the same result backend, which a key lets others watch."""

    __tablename__ = "external_tasks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    celery_id: Mapped[str] = mapped_column(Text, unique=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
