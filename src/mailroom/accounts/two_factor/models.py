"""The tables of second factors, and of the moments in which one is asked for."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, DateTime, ForeignKey, Index, LargeBinary, SmallInteger, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base


class TotpSecret(Base):
    """The secret that an account shares with an authenticator app: the one in use, or one that is being set up."""

    __tablename__ = "totp_secrets"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    session_id: Mapped[UUID | None] = mapped_column()
    """The browser that sets it up: no other gets to see it."""
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted under SECRET_KEY (`kit/secret_box.py`)."""
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The newest time step (RFC 6238 §4.2) whose code was used: no code of it or an older one is taken again."""
    proven_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When a first code was right. Until then it opens nothing."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        Index("ix_totp_secrets_proven", "account_id", unique=True, postgresql_where=text("proven_at IS NOT NULL")),
        Index("ix_totp_secrets_new", "account_id", unique=True, postgresql_where=text("proven_at IS NULL")),
    )


class RecoveryCode(Base):
    """One of the codes for signing in without the other factors. Each is valid once."""

    __tablename__ = "recovery_codes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    """HMAC-SHA256 under a key of SECRET_KEY: a dump alone gives no code away."""
    proven_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the owner proved that they have a copy of the set. Until then the set before it is valid."""
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index(None, "account_id"),)


class Passkey(Base):
    """A passkey (WebAuthn level 3): its public half."""

    __tablename__ = "passkeys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    """In COSE form (RFC 9052)."""
    sign_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Always 0 if the passkey is synchronised between devices."""
    name: Mapped[str] = mapped_column(Text)
    """What its owner calls it."""
    transports: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    is_synced: Mapped[bool] = mapped_column(server_default=text("false"))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index(None, "account_id"),)


class WebauthnChallenge(Base):
    """What a passkey is asked to sign: for one browser and one purpose, once."""

    __tablename__ = "webauthn_challenges"

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PendingSignIn(Base):
    """A sign-in that has passed its first step and waits for the second, in the browser of `session_id`."""

    __tablename__ = "pending_sign_ins"

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    password_mark: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of the account's hash at the first step: with another password the sign-in begins anew."""
    kept: Mapped[bool] = mapped_column()
    """True if the browser is to stay signed in."""
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Wrong codes typed."""
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index(None, "account_id"),)
