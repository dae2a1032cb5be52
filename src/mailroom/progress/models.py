"""The table of tasks: what may be watched, by whom, and how it ended (so that no id is "pending for ever")."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Index, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class Task(Base):
    """One task that may be watched; its id is the ticket, the Celery task id and, for a mail, the mail's id."""

    __tablename__ = "tasks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    """What it is called in words; the same for every outcome (the stream is no oracle)."""
    session_id: Mapped[UUID | None] = mapped_column()
    """The browser session that may watch it; none once a newer sign-up took its place."""
    owner_id: Mapped[UUID | None] = mapped_column()
    """The account it belongs to, once that is known to be its owner's."""
    afterword: Mapped[str | None] = mapped_column(Text)
    """What came of it after its end, for those who still watch: ``confirmed``."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        Index(None, "session_id"),
        Index(None, "owner_id", "created_at"),
    )
