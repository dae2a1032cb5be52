"""The table of sign-ins that are under way at another site."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class AuthenticationRequest(Base):
    """The request that a browser took to a provider (OpenID Connect Core §3.1.2.1). Its answer is taken once."""

    __tablename__ = "authentication_requests"

    state_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """SHA-256 of the `state`, which only the browser and the provider know."""
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    """The browser that was sent. The answer counts in no other."""
    provider: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(Text)
    """One of `Purpose`."""
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    """Who was signed in then; the answer counts for nobody else."""
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    """Nonce, PKCE verifier and `Request.on`; encrypted under SECRET_KEY (`kit/secret_box.py`)."""
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index(None, "session_id"), Index(None, "account_id"), Index(None, "expires_at"))
