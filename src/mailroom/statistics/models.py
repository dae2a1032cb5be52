"""Counters by time: a row for each process and minute, and rows of hours and days that are summed up from them."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Double, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class Statistic(Base):
    """What was counted or measured within one minute, hour or day."""

    __tablename__ = "statistics"

    span: Mapped[str] = mapped_column(Text, primary_key=True)
    """``minute``, ``hour`` or ``day``."""
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    """When the span begins."""
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    label: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    process: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    """The process that counted; empty for hours and days, which are of all processes."""
    count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    total: Mapped[float] = mapped_column(Double, server_default="0")
    """The sum of the measured times, in seconds."""
    buckets: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger), server_default=text("'{}'"))
    """The buckets of the histogram that are not empty (`statistics/histogram.py`)."""
    counts: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    """How many measurements are in each of them."""


class Rolled(Base):
    """Until when minutes are summed up into hours, and hours into days."""

    __tablename__ = "statistics_rolled"

    span: Mapped[str] = mapped_column(Text, primary_key=True)
    """``hour`` or ``day``."""
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
