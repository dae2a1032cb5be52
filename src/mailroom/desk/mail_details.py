"""One mail with all that operators ask about it: attempts, events, its message, and a copy that is sent again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from mailroom.api_keys.models import ApiKey
from mailroom.i18n import languages
from mailroom.kit import clock
from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.mail.administration import MailAdministration, NotPossible
from mailroom.mail.kinds import MailRow, Notify
from mailroom.mail.messages.models import Message, MessageContent
from mailroom.mail.messages.rows import KIND
from mailroom.mail.models import Attempt, Mail, MailEvent
from mailroom.mail.rendering.previews import Preview, Previews, of_bytes
from mailroom.mail.states import State

_MESSAGE_ID = re.compile(rb"(?im)^message-id:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n")
COPY_MESSAGE = """
insert into messages (id, key_id, sender, to_addresses, cc_addresses, reply_to, subject, stream, tags, test,
    source, size)
select %(copy)s, key_id, sender, to_addresses, cc_addresses, reply_to, subject, stream, tags, test,
    source, %(size)s
from messages where id = %(message)s
"""
COPY_CONTENT = "insert into message_contents (message_id, raw) values (%(copy)s, %(raw)s)"
COPY_MAIL = """
insert into mails (id, kind, recipient, params, nonce, on_uncertain, message_id, stream, test, nudge_at,
    expires_at, language)
select %(id)s, kind, recipient, params, nonce, on_uncertain, %(copy)s, stream, test, now(),
    now() + (expires_at - created_at), language
from mails where id = %(mail)s
"""


@dataclass(frozen=True, slots=True)
class MailDetails:
    """A mail, its attempts and events (oldest first), and where it came from."""

    mail: Mail
    attempts: Sequence[Attempt]
    events: Sequence[MailEvent]
    message: Message | None
    key_name: str | None


class MailDesk:
    """Reads one mail for the desk, and sends a copy of it."""

    def __init__(self, administration: MailAdministration, previews: Previews, notify: Notify) -> None:
        self._administration = administration
        self._previews = previews
        self._notify = notify

    async def details(self, work: UnitOfWork, mail_id: UUID) -> MailDetails:
        """Return all that is known of a mail. Raises `UnknownMail`."""
        shown = await self._administration.show(work, mail_id)
        events = select(MailEvent).where(MailEvent.mail_id == mail_id).order_by(MailEvent.id)
        message = key_name = None
        if shown.mail.message_id:
            message = await work.session.get(Message, shown.mail.message_id)
        if message and message.key_id:
            key_name = await work.session.scalar(select(ApiKey.name).where(ApiKey.id == message.key_id))
        found = (await work.session.scalars(events)).all()
        return MailDetails(shown.mail, shown.attempts, found, message, key_name)

    async def preview(self, work: UnitOfWork, mail: Mail) -> Preview | None:
        """Return what a mail looks like; None if its contents are dropped.

        Raises `BrokenMail`; `UnknownKind` if this process lacks the mail's app.
        """
        if mail.message_id:
            raw = await self._content(work, mail.message_id)
            return of_bytes(raw) if raw else None
        if mail.params is None or mail.nonce is None or mail.recipient is None:
            return None
        return self._previews.of_row(
            MailRow(mail.id, mail.kind, mail.recipient, mail.params, mail.nonce, mail.created_at, mail.language)
        )

    def specimen(self, kind: str, recipient: str) -> Preview:
        """Return what a mail of this kind would look like in the current language; no such mail exists.

        Raises `BrokenMail`.
        """
        params, language = {"browser": "Firefox on Linux"}, languages.current()
        return self._previews.of_row(
            MailRow(UUID(int=0), kind, recipient, params, bytes(16), clock.now(), language)
        )

    async def send_again(self, work: UnitOfWork, mail_id: UUID) -> UUID:
        """Put a copy of another program's message, to this recipient alone; return the new mail's id.

        The first mail stays as it is, so that both can be seen. Raises `UnknownMail`; `NotPossible` if the mail
        was not sent, is one of Mailroom's own (its links belong to one mail), or its contents are dropped.
        """
        mail = (await self._administration.show(work, mail_id)).mail
        if mail.state != State.SENT or mail.kind != KIND or mail.message_id is None:
            raise NotPossible("mail.error.cannot_send_again", state=mail.state)
        raw = await self._content(work, mail.message_id)
        if raw is None or mail.nonce is None:
            raise NotPossible("mail.error.contents_dropped")
        copy, new_mail = new_id(), new_id()
        raw = with_message_id(raw, copy)
        words = {
            "copy": copy,
            "message": mail.message_id,
            "mail": mail.id,
            "id": new_mail,
            "raw": raw,
            "size": len(raw),
        }
        for statement in (COPY_MESSAGE, COPY_CONTENT, COPY_MAIL):
            await work.write(statement, words)
        work.after_commit(lambda: self._notify([new_mail]))
        return new_mail

    async def _content(self, work: UnitOfWork, message_id: UUID) -> bytes | None:
        query = select(MessageContent.raw).where(MessageContent.message_id == message_id)
        raw = await work.session.scalar(query)
        return None if raw is None else bytes(raw)


def with_message_id(raw: bytes, message_id: UUID) -> bytes:
    """Return a message's bytes under another Message-ID: under the same one, mailboxes drop the copy."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    head += b"\r\n"
    found = _MESSAGE_ID.search(head)
    domain = b"mailroom"
    if found and (after := re.search(rb"@([^>\s]+)>", found[0])):
        domain = after[1]
    line = b"Message-ID: <%s@%s>\r\n" % (str(message_id).encode(), domain)
    head = head[: found.start()] + line + head[found.end() :] if found else line + head
    return head + blank[2:] + body
