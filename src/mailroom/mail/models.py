"""The tables of the outbox: a row for each mail, for each attempt that has ended, and for each event."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base
from mailroom.mail.states import State


class Mail(Base):
    """One mail to one recipient. States and stages: `mail/states.py`."""

    __tablename__ = "mails"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str | None] = mapped_column(Text)
    """Its address; none once the account that it belongs to was deleted."""
    typed_recipient: Mapped[str | None] = mapped_column(Text)
    """The address as a person typed it, if the mail goes to another spelling of it. Pages show this one: the other
    spelling would reveal that an account has it."""
    params: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """What the templates need, nothing secret; dropped KEEP_BODIES_DAYS after the end."""
    nonce: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Tokens and codes are derived from it and SECRET_KEY; useless alone; dropped together with `params`."""

    state: Mapped[str] = mapped_column(Text, server_default="queued")
    stage: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(Integer, server_default="0")
    """Rises with each claim. Attempt and lease are the fence against a worker that was frozen and comes back."""
    step: Mapped[int] = mapped_column(Integer, server_default="0")
    """Rises with each change within an attempt: (attempt, step) puts reports and rows in order."""
    crashes: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Attempts that ended with their worker; many of them make a poison mail."""
    on_uncertain: Mapped[str] = mapped_column(Text)
    """What to do if nobody knows whether the server has the mail: ``resend`` or ``hold``. It is the kind's
    policy, or ``hold`` once the reply got lost too often."""

    worker: Mapped[str | None] = mapped_column(Text)
    """The worker of the attempt under way. The next four columns, too, are about that attempt. Without one, this
    column and `claimed_at` are null."""
    server: Mapped[str | None] = mapped_column(Text)
    claimed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    connected_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    handing_over_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    nudge_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the sweep publishes the mail again; null for a mail that is final or waits for a person."""
    nudges: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    next_attempt_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    reason: Mapped[str | None] = mapped_column(Text)
    """Why the mail waits or ended: a `Reason` of `mail/states.py`."""
    reason_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when the mail server cannot be used, if that is the reason."""
    code: Mapped[int | None] = mapped_column(SmallInteger)
    enhanced: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    """The text of the server's reply: for confirmed owners and operators only."""

    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    """The message of which it is a recipient's copy; none for a mail that Mailroom makes from templates."""
    stream: Mapped[str] = mapped_column(Text, server_default="transactional")
    """The queue that it waits in: ``transactional`` or ``bulk`` (`mail/states.py`)."""
    test: Mapped[bool] = mapped_column(server_default=text("false"))
    """True if no mail server is asked: a test key's mail, or one for a test recipient."""
    number: Mapped[int | None] = mapped_column(
        BigInteger, server_default=text("nextval('mails_number_seq'::regclass)")
    )
    """A short number for it in narrow places; rows from before 0.2 have none."""
    language: Mapped[str | None] = mapped_column(Text)
    """The language it is written in, fixed when it is put; none: English."""

    traceparent: Mapped[str | None] = mapped_column(Text)
    """The trace that put it (W3C Trace Context), if OpenTelemetry is on."""

    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the mail became final, or was left to a person as uncertain."""

    @property
    def held(self) -> bool:
        """True for an uncertain mail that waits for a person."""
        return self.state == State.UNCERTAIN and self.on_uncertain == "hold"

    @property
    def under_way(self) -> "list[Attempt]":
        """The attempt that has not ended, if there is one, made of this row: it has no row of its own yet."""
        if self.state != State.SENDING or self.claimed_at is None:
            return []
        facts = ("attempt", "worker", "server", "claimed_at", "connected_at", "handing_over_at")
        return [Attempt(mail_id=self.id, **{name: getattr(self, name) for name in facts})]

    __table_args__ = (
        # One index for each stream: a look-up every second must not read the 100,000 rows of a mailing.
        Index(
            "ix_mails_transactional_nudge_at",
            "nudge_at",
            postgresql_where=text("stream = 'transactional' AND nudge_at IS NOT NULL"),
        ),
        Index(
            "ix_mails_transactional_queued",
            "created_at",
            postgresql_where=text("stream = 'transactional' AND state = 'queued'"),
        ),
        Index("ix_mails_expires_at", "expires_at", postgresql_where=text("nudge_at IS NOT NULL")),
        Index("ix_mails_state_created_at", "state", "created_at"),
        Index("ix_mails_ended_at", "ended_at", postgresql_where=text("params IS NOT NULL")),
        Index(
            "ix_mails_bulk_nudge_at", "nudge_at", postgresql_where=text("stream = 'bulk' AND nudge_at IS NOT NULL")
        ),
        Index("ix_mails_message_id", "message_id", postgresql_where=text("message_id IS NOT NULL")),
        # Indexes for the desk's searches (`desk/mail_search.py`): no claim and no acceptance writes to them.
        Index(
            "ix_mails_recipient",
            func.reverse(func.lower(literal_column("recipient"))).label("backwards"),
            postgresql_ops={"backwards": "text_pattern_ops"},
            postgresql_where=text("ended_at IS NOT NULL"),
        ),
        Index("ix_mails_code", "code", "id", postgresql_where=text("code IS NOT NULL AND state <> 'sent'")),
        Index(
            "ix_mails_answer",
            text("to_tsvector('simple'::regconfig, answer)"),
            postgresql_using="gin",
            postgresql_where=text("answer IS NOT NULL AND state <> 'sent'"),
        ),
    )


class Attempt(Base):
    """An attempt that has ended: the time of each stage, and the server's reply."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    mail_id: Mapped[UUID] = mapped_column(ForeignKey("mails.id", ondelete="CASCADE"))
    attempt: Mapped[int] = mapped_column(Integer)
    worker: Mapped[str] = mapped_column(Text)
    server: Mapped[str | None] = mapped_column(Text)
    claimed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    connected_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    handing_over_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    uncertain_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it became unknown whether the server has the mail; kept even if its acceptance came late."""
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(Text)
    """The state that it brought the mail to."""
    reason: Mapped[str | None] = mapped_column(Text)
    code: Mapped[int | None] = mapped_column(SmallInteger)
    enhanced: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("uq_attempts_mail_id_attempt", "mail_id", "attempt", unique=True),
        Index("ix_attempts_retrying", "id", postgresql_where=text("outcome = 'retrying'")),
    )


class MailEvent(Base):
    """An event of a mail. Webhooks read events by cursor, in the order of `id`."""

    __tablename__ = "mail_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    transaction: Mapped[int] = mapped_column(BigInteger, server_default=text("pg_current_xact_id()::text::bigint"))
    """The transaction that wrote it: readers take events in this order (`webhooks/fan_out.py`)."""
    mail_id: Mapped[UUID] = mapped_column(ForeignKey("mails.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(Text)
    """``sent``, ``delivery_delayed``, ``failed``, ``scheduled``, ``suppressed`` or ``uncertain``; later also
    what happens after the 250."""
    attempt: Mapped[int] = mapped_column(Integer, server_default="0")
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    source: Mapped[str | None] = mapped_column(Text)
    """Who reported it; null for our own worker."""
    code: Mapped[int | None] = mapped_column(SmallInteger)
    enhanced: Mapped[str | None] = mapped_column(Text)
    diagnostic: Mapped[str | None] = mapped_column(Text)
    """The text of the server's reply."""

    __table_args__ = (
        Index("ix_mail_events_mail_id", "mail_id", "id"),
        Index("ix_mail_events_transaction", "transaction", "id"),
    )
