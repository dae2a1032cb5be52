"""The app's tables. Their names begin with the app's."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Integer, LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.api import Base

OWNER = "accounts.id"
"""Rows of a member go with the account."""


class Import(Base):
    """One uploaded file."""

    __tablename__ = "csv_import_imports"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey(OWNER, ondelete="CASCADE"), index=True)
    ticket: Mapped[UUID] = mapped_column(unique=True)
    """Its task: `/tasks/<ticket>`."""
    file: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes."""
    lines: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), index=True)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    contacts: Mapped[int | None] = mapped_column(Integer)
    skipped: Mapped[int | None] = mapped_column(Integer)
    """Lines without a mail address."""


class Piece(Base):
    """A piece of a file: the worker may be on another machine, so files wait in the database."""

    __tablename__ = "csv_import_pieces"

    import_id: Mapped[UUID] = mapped_column(
        ForeignKey("csv_import_imports.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Contact(Base):
    """Somebody a member knows."""

    __tablename__ = "csv_import_contacts"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey(OWNER, ondelete="CASCADE"), primary_key=True)
    email: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
