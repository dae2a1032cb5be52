"""Where a message is: its recipients, each with a state of its own, and the worst of these."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select

from mailroom.kit.database import UnitOfWork
from mailroom.mail.messages.models import Message, MessageContent
from mailroom.mail.models import Attempt, Mail, MailEvent
from mailroom.mail.states import State

LAST_EVENT: Mapping[str, str] = {
    State.FAILED: "failed",
    State.EXPIRED: "failed",
    State.SUPPRESSED: "suppressed",
    State.UNCERTAIN: "uncertain",
    State.RETRYING: "delivery_delayed",
    State.CANCELLED: "canceled",
    State.SCHEDULED: "scheduled",
    State.QUEUED: "queued",
    State.SENDING: "queued",
    State.SENT: "sent",
}
"""Every state of a recipient's mail, the worst first, and what Resend's `last_event` calls it."""
ORDER = list(LAST_EVENT)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient's mail, with its attempts and events, oldest first."""

    mail: Mail
    attempts: Sequence[Attempt]
    events: Sequence[MailEvent]


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message with its recipients, and its content if that is still kept and was asked for."""

    message: Message
    recipients: Sequence[Recipient]
    content: bytes | None

    @property
    def last_event(self) -> str:
        """The worst recipient's state in Resend's words."""
        return last_event(recipient.mail.state for recipient in self.recipients)


def last_event(states: Iterable[str]) -> str:
    """Return the worst of these states in Resend's words; `queued` if there are none."""
    worst = min(states, key=ORDER.index, default=str(State.QUEUED))
    return LAST_EVENT[worst]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages to list; keys of scope `sending` see only their own (`key_id`)."""

    key_id: UUID | None = None
    to: str | None = None
    state: str | None = None
    tag: tuple[str, str] | None = None
    since: datetime | None = None
    after: UUID | None = None
    """Only messages older than this one."""
    before: UUID | None = None
    """Only messages newer than this one."""


def _restricted(wanted: Filter) -> Select[Message]:
    where: list[ColumnElement[bool]] = []
    if wanted.key_id:
        where.append(Message.key_id == wanted.key_id)
    if wanted.tag:
        where.append(Message.tags.contains({wanted.tag[0]: wanted.tag[1]}))
    if wanted.since:
        where.append(Message.created_at >= wanted.since)
    mails: list[ColumnElement[bool]] = []
    if wanted.to:
        mails.append(func.lower(Mail.recipient) == wanted.to.lower())
    if wanted.state:
        mails.append(Mail.state == wanted.state)
    if mails:
        where.append(select(Mail.id).where(Mail.message_id == Message.id, *mails).exists())
    return select(Message).where(*where)


async def list_messages(work: UnitOfWork, wanted: Filter, *, limit: int) -> tuple[list[FoundMessage], bool]:
    """Return the newest `limit` messages, without content and attempts; and whether there are more."""
    query = _restricted(wanted)
    if wanted.before:
        query = query.where(Message.id > wanted.before).order_by(Message.id)
    else:
        query = query.where(Message.id < wanted.after) if wanted.after else query
        query = query.order_by(Message.id.desc())
    found = list((await work.session.scalars(query.limit(limit + 1))).all())
    page = found[:limit]
    if wanted.before:
        page.reverse()
    mails: dict[UUID | None, list[Mail]] = {}
    for mail in await work.session.scalars(
        select(Mail).where(Mail.message_id.in_([message.id for message in page])).order_by(Mail.id)
    ):
        mails.setdefault(mail.message_id, []).append(mail)
    return [
        FoundMessage(message, [Recipient(mail, (), ()) for mail in mails.get(message.id, [])], None)
        for message in page
    ], len(found) > limit


async def find_message(
    work: UnitOfWork, message_id: UUID, *, key_id: UUID | None = None, content: bool = True
) -> FoundMessage | None:
    """Return a message with all that is known of it; None if it is unknown, or not this key's."""
    message = await work.session.get(Message, message_id)
    if message is None or (key_id is not None and message.key_id != key_id):
        return None
    mails = (await work.session.scalars(select(Mail).where(Mail.message_id == message_id).order_by(Mail.id))).all()
    ids = [mail.id for mail in mails]
    attempts: dict[UUID, list[Attempt]] = {mail_id: [] for mail_id in ids}
    for attempt in await work.session.scalars(
        select(Attempt).where(Attempt.mail_id.in_(ids)).order_by(Attempt.attempt)
    ):
        attempts[attempt.mail_id].append(attempt)
    events: dict[UUID, list[MailEvent]] = {mail_id: [] for mail_id in ids}
    for event in await work.session.scalars(
        select(MailEvent).where(MailEvent.mail_id.in_(ids)).order_by(MailEvent.id)
    ):
        events[event.mail_id].append(event)
    raw = None
    if content:
        raw = await work.session.scalar(select(MessageContent.raw).where(MessageContent.message_id == message_id))
    recipients = [Recipient(mail, [*attempts[mail.id], *mail.under_way], events[mail.id]) for mail in mails]
    return FoundMessage(message, recipients, raw)
