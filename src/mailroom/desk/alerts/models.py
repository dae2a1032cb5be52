"""Alerts, current and past, and the rules that operators silenced."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Index, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class Alert(Base):
    """One period in which a rule's condition held, from its beginning to its end."""

    __tablename__ = "alerts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(Text)
    """A code of `desk/alerts/rules.py`."""
    subject: Mapped[str] = mapped_column(Text, server_default="")
    """What the alert is about, if the rule watches several things: a host, a certificate's name."""
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    """Parameters of its sentence, of the last evaluation in which the condition held."""
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """Since when it is wrong."""
    fired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it had been wrong for long enough; none: it may pass by itself."""
    good_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when the condition does not hold any more."""
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it had been good for long enough."""
    telling_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Until when one process has to tell of it."""
    reached: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """The addresses that were told, while others could not be; empty again once it counts as told."""
    told_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    told_end_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index("uq_alerts_rule_subject", "rule", "subject", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_alerts_began_at", "began_at"),
    )


class Silence(Base):
    """A rule of which nothing is told for a time."""

    __tablename__ = "alert_silences"

    rule: Mapped[str] = mapped_column(Text, primary_key=True)
    """A rule's code; ``*`` for all."""
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    by_name: Mapped[str] = mapped_column(Text)
