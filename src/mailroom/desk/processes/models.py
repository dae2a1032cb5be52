"""The processes of Mailroom, running and past."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Index, Integer, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class Process(Base):
    """One process, from its start on. Its row stays for some days, so that charts can show the start."""

    __tablename__ = "processes"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    """``host:pid#random``; a worker holds the advisory lock of this name while it runs."""
    role: Mapped[str] = mapped_column(Text)
    """``worker``, ``web`` or ``submission``."""
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(Integer)
    version: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When the process wrote its facts last."""
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the process stopped in good order."""
    wish: Mapped[str | None] = mapped_column(Text)
    """What an operator asks of it: ``drain`` or ``stop``."""
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    """What the process says of itself: memory, mails in hand, its view of the mail server, Redis and disk."""

    __table_args__ = (Index("ix_processes_started_at", "started_at"),)
