"""Messages of other programs: one message has one content and one `mails` row for each recipient."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, Integer, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class Message(Base):
    """A message that a program handed in, over HTTP or SMTP. Its id is the API's id of the mail."""

    __tablename__ = "messages"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"))
    """The API key that it came with."""
    sender: Mapped[str] = mapped_column(Text)
    """The From header, in Unicode."""
    to_addresses: Mapped[list[str]] = mapped_column(ARRAY(Text))
    cc_addresses: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    bcc_addresses: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """Recipients that no header names; they are not in the content."""
    reply_to: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    subject: Mapped[str] = mapped_column(Text, server_default="")
    stream: Mapped[str] = mapped_column(Text, server_default="transactional")
    tags: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=text("'{}'"))
    """Name to value."""
    scheduled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    test: Mapped[bool] = mapped_column(server_default=text("false"))
    """True if nothing is sent: the message came with a test key."""
    source: Mapped[str] = mapped_column(Text, server_default="http")
    """How it came in: ``http`` or ``smtp``."""
    size: Mapped[int] = mapped_column(Integer)
    """Octets of its content."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        Index("ix_messages_key_id", "key_id", "id"),
        Index("ix_messages_tags", "tags", postgresql_using="gin"),
        Index("ix_messages_subject", text("to_tsvector('simple'::regconfig, subject)"), postgresql_using="gin"),
    )


class MessageContent(Base):
    """The content of a message: RFC 5322 bytes without Bcc, shared by its recipients; dropped after a time."""

    __tablename__ = "message_contents"

    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
