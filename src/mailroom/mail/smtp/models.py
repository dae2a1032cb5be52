"""What is stored about the mail server: refused sign-ins."""

from datetime import datetime

from sqlalchemy import DateTime, Integer, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class SmtpSignIn(Base):
    """The sign-in with one value of SMTP_URL, for all workers. `mail/smtp/sign_ins.py` reads and writes it."""

    __tablename__ = "smtp_sign_ins"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    """An HMAC of the settings."""
    accepted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when the server accepts user and password; none while that is not known."""
    refusals: Mapped[int] = mapped_column(Integer, server_default="0")
    next_try_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    trying_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Until when the process that tries has time to do so; none if none tries."""
    code: Mapped[int | None] = mapped_column(SmallInteger)
    enhanced: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
