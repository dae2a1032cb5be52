"""Mails as lists of the desk show them, whole for operators, without full addresses for viewers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from mailroom.i18n.messages import gettext, translated
from mailroom.i18n.sentences import sentence
from mailroom.kit.database import UnitOfWork
from mailroom.mail.messages.models import Message
from mailroom.mail.models import Mail
from mailroom.mail.states import message_code
from mailroom.progress.moods import mood_of
from mailroom.web.desk.access import masked
from mailroom.web.desk.kind_words import kind_word
from mailroom.web.views.words import STATES


@dataclass(frozen=True, slots=True)
class MailLine:
    """One mail of a list."""

    id: UUID
    recipient: str
    subject: str
    """The subject of another program's message; else the name of the kind."""
    state: str
    word: str
    mood: str
    why: str
    at: datetime
    stream: str


async def mail_lines(work: UnitOfWork, mails: Sequence[Mail], *, whole: bool) -> list[MailLine]:
    """Return the lines of these mails; `whole`: with full addresses and servers' words."""
    ids = {mail.message_id for mail in mails if mail.message_id}
    found = await work.session.execute(select(Message.id, Message.subject).where(Message.id.in_(ids)))
    subjects = {message_id: subject for message_id, subject in found} if ids else {}  # noqa: C416  # rows
    return [_line(mail, subjects.get(mail.message_id) if mail.message_id else None, whole=whole) for mail in mails]


def _line(mail: Mail, subject: str | None, *, whole: bool) -> MailLine:
    return MailLine(
        mail.id,
        recipient_of(mail, whole=whole),
        (subject if whole else "") or kind_word(mail.kind),
        mail.state,
        translated(STATES[mail.state].word) if mail.state in STATES else mail.state,
        mood_of(mail.state),
        why(mail, whole=whole),
        mail.created_at,
        mail.stream,
    )


def recipient_of(mail: Mail, *, whole: bool) -> str:
    """Return a mail's recipient; the address of a deleted account is kept nowhere."""
    if mail.recipient is None:
        return gettext("(deleted account)")
    return mail.recipient if whole else masked(mail.recipient)


def why(mail: Mail, *, whole: bool) -> str:
    """Return why a mail waits or ended: the server's codes and words, or our own sentence."""
    codes = " ".join(str(part) for part in (mail.code, mail.enhanced) if part)
    if mail.state == "sent":
        return codes
    said = mail.answer if mail.answer and whole else ""
    if not said and mail.reason:
        said = sentence(message_code(mail.reason, held=mail.held))
    return " ".join(filter(None, (codes, without_code(said, mail.enhanced))))


def without_code(said: str, enhanced: str | None) -> str:
    """Return a server's words without the leading enhanced status code, which is shown separately."""
    return said.removeprefix(enhanced).lstrip() if enhanced else said
