"""Which database this is, and what is paused."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class DatabaseIdentity(Base):
    """One row that tells this database from a copy of it. `mail/ledger/identity.py` reads and writes it."""

    __tablename__ = "database_identity"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    """1."""
    system_identifier: Mapped[str] = mapped_column(Text)
    """The cluster's (`pg_control_system()`)."""
    database_oid: Mapped[int] = mapped_column(BigInteger)
    written_by: Mapped[int] = mapped_column(BigInteger)
    """The transaction that wrote this row; a copy of the row has another `xmin`."""
    heartbeat_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """When a worker looked last, to ten seconds; kept in Redis, too."""


class Pause(Base):
    """Mails that an operator holds back; claims leave them (`mail/ledger/pauses.py`)."""

    __tablename__ = "pauses"

    what: Mapped[str] = mapped_column(Text, primary_key=True)
    """``all``, ``stream`` or ``kind``."""
    name: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    """The stream or the kind; empty for all."""
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    by_name: Mapped[str] = mapped_column(Text)
