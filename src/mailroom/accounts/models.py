"""Who may come in: accounts (confirmed addresses only), sign-ups on their way there, and browser sessions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base

OPEN = text("replaced_at IS NULL AND confirmed_at IS NULL")
"""A sign-up that waits for its confirmation."""
BACKWARDS = func.reverse(literal_column("email_key")).label("backwards")
"""Addresses reversed, so that a domain is a prefix that an index can find."""


class Account(Base):
    """The account of a confirmed address. An address that was never confirmed has none."""

    __tablename__ = "accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    """The address as its owner wrote it (normalised); mail goes here."""
    email_key: Mapped[str] = mapped_column(Text, unique=True)
    """The same without regard to case, the domain in ASCII: what makes an address unique."""
    password_hash: Mapped[str] = mapped_column(Text)
    is_operator: Mapped[bool] = mapped_column(server_default=text("false"))
    """True for the role ``operator``; read by the last release, and written along with `role` until it is gone."""
    role: Mapped[str | None] = mapped_column(Text)
    """``operator`` (sees and mends everything), ``viewer`` (sees states), or none: a member."""
    name: Mapped[str | None] = mapped_column(Text)
    """What the owner wants to be called on pages; never in mails that strangers can cause."""
    language: Mapped[str | None] = mapped_column(Text)
    """The tag of the language of pages and mails (RFC 5646); None: the browser's."""
    browser_language: Mapped[str | None] = mapped_column(Text)
    """The language of the pages that its browser got; mails use it if no language is chosen."""
    time_zone: Mapped[str | None] = mapped_column(Text)
    """The name in the IANA database; None: UTC, or the browser's own if it runs scripts."""
    notices: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Which of the events that the owner can choose (`security_log.CHOSEN`) cause a mail; None: the usual ones."""
    two_step_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when signing in takes a second step."""
    codes_due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the budget of typed codes is full again (`accounts/two_factor/code_budget.py`)."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    confirmed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    locked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When an operator locked it: nobody signs in to it until it is unlocked."""
    deletes_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the account is deleted; until then it can only undo that. None: it is not to be deleted."""
    deletion_mail_id: Mapped[UUID | None] = mapped_column()
    """The mail that tells of the deletion; its link undoes it."""

    __table_args__ = (
        Index("ix_accounts_email_prefix", "email_key", postgresql_ops={"email_key": "text_pattern_ops"}),
        Index("ix_accounts_email_suffix", BACKWARDS, postgresql_ops={"backwards": "text_pattern_ops"}),
    )


class SignUp(Base):
    """One sign-up. Its address may be new, pending, or an account's already (a decoy that is never confirmed)."""

    __tablename__ = "sign_ups"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    email_key: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)
    """None once the sign-up is over: then the account has the hash, or nobody has."""
    session_id: Mapped[UUID | None] = mapped_column()
    """The browser that signed up. No foreign key: that session may end while the sign-up goes on."""
    mail_id: Mapped[UUID] = mapped_column()
    """The id of its newest mail, which is also the ticket to show."""
    mailed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Wrong codes typed since the newest mail."""
    replaced_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    """The account it became."""
    invitation_id: Mapped[UUID | None] = mapped_column()
    """The invitation that it came with."""
    issuer: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    """With `issuer`, the account of another site that it came with. The two become an `AccountIdentity`."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        # A browser has one open sign-up of an address at most; several browsers may have one each.
        Index("ix_sign_ups_open_email_key", "email_key", "created_at", postgresql_where=OPEN),
        Index(None, "session_id"),
        Index(None, "account_id"),
        Index("ix_sign_ups_email_prefix", "email_key", postgresql_ops={"email_key": "text_pattern_ops"}),
        Index("ix_sign_ups_email_suffix", BACKWARDS, postgresql_ops={"backwards": "text_pattern_ops"}),
        Index("ix_sign_ups_unconfirmed", "mailed_at", postgresql_where=text("confirmed_at IS NULL")),
    )


class SignUpMail(Base):
    """Which mails belong to which sign-up: each of them confirms it, and each counts against the limit."""

    __tablename__ = "sign_up_mails"

    mail_id: Mapped[UUID] = mapped_column(ForeignKey("mails.id", ondelete="CASCADE"), primary_key=True)
    sign_up_id: Mapped[UUID] = mapped_column(ForeignKey("sign_ups.id", ondelete="CASCADE"))
    email_key: Mapped[str] = mapped_column(Text)
    mailbox_key: Mapped[str | None] = mapped_column(Text)
    """The mailbox that the address leads to (`accounts/addresses/mailboxes.py`): what the limits count by."""
    withheld: Mapped[bool] = mapped_column(server_default=text("false"))
    """True if the mailbox was over its limit: the mail server got no content."""
    renewed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When a later mail was withheld: the time of link and code begins anew then."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        Index(None, "sign_up_id"),
        Index(None, "email_key", "created_at"),
        Index("ix_sign_up_mails_sent", "mailbox_key", "created_at", postgresql_where=text("NOT withheld")),
        Index(None, "created_at"),
    )


class PasswordMail(Base):
    """A mail to somebody who forgot a password. It has a link if an account has the address."""

    __tablename__ = "password_mails"

    mail_id: Mapped[UUID] = mapped_column(ForeignKey("mails.id", ondelete="CASCADE"), primary_key=True)
    email_key: Mapped[str] = mapped_column(Text)
    mailbox_key: Mapped[str | None] = mapped_column(Text)
    withheld: Mapped[bool] = mapped_column(server_default=text("false"))
    renewed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """As in `SignUpMail`."""
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When a link of this account was used; that ends all of its links."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        Index(None, "account_id"),
        Index(None, "email_key", "created_at"),
        Index("ix_password_mails_sent", "mailbox_key", "created_at", postgresql_where=text("NOT withheld")),
        Index(None, "created_at"),
    )


class FormMailSlots(Base):
    """A single row: when the next mail over the common limit of all forms may be sent."""

    __tablename__ = "form_mail_slots"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    next_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class BrowserSession(Base):
    """One browser: anonymous (it may watch its tickets and type its code) or signed in to an account."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    """SHA-256 of the secret in the cookie; only the cookie has the secret itself."""
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    user_agent: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    """The client's IP address at the last use: for the owner only."""
    kept: Mapped[bool] = mapped_column(server_default=text("true"))
    """False if the owner did not ask to stay signed in: the session ends sooner, and with the browser."""
    verified_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the owner last proved who they are in this session, by any means."""
    passkey_verified_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When they last did so with a passkey that replaces the password (`sessions.stands_for_password`)."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index(None, "account_id"),
        Index(None, "expires_at"),
    )


class AccountEvent(Base):
    """An event of an account's security history; its id gives the order."""

    __tablename__ = "account_events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    """One of `EventKind`."""
    device: Mapped[str] = mapped_column(Text)
    """The browser in words, from a fixed list."""
    address: Mapped[str | None] = mapped_column(Text)
    """The client's IP address: for the owner only."""
    mail_id: Mapped[UUID | None] = mapped_column()
    """The mail that told the owner of it."""
    disowned_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the owner said: this was not me."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        Index(None, "account_id", "id"),
        Index(None, "account_id", "device"),
        Index(None, "mail_id"),
    )


class AddressChange(Base):
    """A change of an account's address: asked for, confirmed by the new side, or ended."""

    __tablename__ = "address_changes"

    mail_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The mail to the new address."""
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    old_email: Mapped[str] = mapped_column(Text)
    new_email: Mapped[str] = mapped_column(Text)
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When a newer one took its place, or the old address took it back."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index(None, "account_id"),)


class HeldAddress(Base):
    """A mailbox whose owner said of a sign-up: this was not me. It gets no mail of that kind for a while."""

    __tablename__ = "held_addresses"

    mailbox_key: Mapped[str] = mapped_column(Text, primary_key=True)
    """The mailbox (`accounts/addresses/mailboxes.py`)."""
    mail_id: Mapped[UUID] = mapped_column()
    """The mail whose link said so."""
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (Index(None, "until"),)


class Export(Base):
    """The data that an account asked for: a zip file, kept where every web process can read it."""

    __tablename__ = "exports"

    id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    """The task that made it."""
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """When it is deleted; from then on nobody gets it."""

    __table_args__ = (
        Index(None, "account_id"),
        Index(None, "expires_at"),
    )


class DeletedAddress(Base):
    """An address whose account was deleted. The row is enough to recognise the address, but not to read it."""

    __tablename__ = "deleted_addresses"

    address_hmac: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """HMAC-SHA256 of the address's key, under SECRET_KEY."""
    deleted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Invitation(Base):
    """An invitation to sign up; its mail has the link."""

    __tablename__ = "invitations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    """Where it was sent."""
    email_key: Mapped[str] = mapped_column(Text)
    bound: Mapped[bool] = mapped_column(server_default=text("true"))
    """True: only that address may sign up with it."""
    mail_id: Mapped[UUID] = mapped_column(unique=True)
    inviter_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    """The account that made it; none: the shell."""
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    """The account that it became."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When an account came of it. Opening the link does not use it up."""
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (Index(None, "inviter_id"), Index(None, "account_id"), Index(None, "email_key"))


class AccountIdentity(Base):
    """An account of another site with which the owner signs in to this one (OpenID Connect)."""

    __tablename__ = "account_identities"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    issuer: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    """The issuer's own id of the person. Issuer and subject together are unique, and never given to another."""
    email: Mapped[str | None] = mapped_column(Text)
    """The address that the issuer named when the accounts were linked; for the owner to see."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (UniqueConstraint("issuer", "subject"), Index(None, "account_id"))


class SignInFailure(Base):
    """Failed sign-ins in a row, of one client with one address."""

    __tablename__ = "sign_in_failures"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """HMAC-SHA256 of the address's key and the client, under SECRET_KEY."""
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    next_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """When the next try is let through."""
    failed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index(None, "failed_at"),)
