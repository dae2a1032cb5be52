"""The rows of messages, and the one statement that writes those of any number of them.

All values are arrays, so the statement is planned once for one message and for thousands. Contents travel as
bytes (`%(…)b`): psycopg would write a list of them as text, at 80 µs for 3 KB. The statement does nothing for ids
that are there already: it may run again if its answer got lost.

Large contents are left out of it and follow in the same transaction, by COPY (`COPIED`). COPY fails for ids
that are there: a repeat of that transaction asks first (`THERE`).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from json import dumps
from typing import Any
from uuid import UUID

from mailroom.kit import tracing
from mailroom.kit.ids import new_id
from mailroom.mail.messages.draft import Draft
from mailroom.mail.outbox import FIRST_NUDGE

KIND, BULK = "message", "bulk"
"""The kind of every mail of a message."""
EXPIRES_AFTER = timedelta(hours=48)
COPIED = 256 * 1024
"""Octets from which a content is copied: a value of the statement is in memory three times."""

PUT = """
with message as (
    insert into messages (id, key_id, sender, to_addresses, cc_addresses, bcc_addresses, reply_to, subject, stream,
        tags, scheduled_at, test, source, size)
    select id, key_id, sender, to_::text[], cc::text[], bcc::text[], reply_to::text[], subject, stream,
        tags::jsonb, scheduled_at, test, source, size
    from unnest(%(id)s::uuid[], %(key_id)s::uuid[], %(sender)s::text[], %(to)s::text[], %(cc)s::text[],
        %(bcc)s::text[], %(reply_to)s::text[], %(subject)s::text[], %(stream)s::text[], %(tags)s::text[],
        %(scheduled_at)s::timestamptz[], %(test)s::bool[], %(source)s::text[], %(size)s::int[])
        as given (id, key_id, sender, to_, cc, bcc, reply_to, subject, stream,
            tags, scheduled_at, test, source, size)
    on conflict (id) do nothing
), content as (
    insert into message_contents (message_id, raw)
    select id, raw from unnest(%(id)s::uuid[], %(content)b::bytea[]) as given (id, raw) where raw <> ''
    on conflict (message_id) do nothing
), mail as (
    insert into mails (id, kind, recipient, params, nonce, on_uncertain, message_id, stream, test, state,
        reason, next_attempt_at, nudge_at, expires_at, traceparent)
    select id, 'message', recipient, '{}', '', 'resend', message_id, stream, test,
        case when due is null then 'queued' else 'scheduled' end, case when limited then 'limited' end,
        due, coalesce(due, now() + case when stream = 'bulk' then interval '0' else %(nudge_in)s end),
        coalesce(due, now()) + %(expires_in)s, traceparent
    from unnest(%(mail_id)s::uuid[], %(recipient)s::text[], %(message_id)s::uuid[], %(mail_stream)s::text[],
        %(mail_test)s::bool[], %(due)s::timestamptz[], %(limited)s::bool[], %(traceparent)s::text[])
        as given (id, recipient, message_id, stream, test, due, limited, traceparent)
    on conflict (id) do nothing
    returning id, state
)
insert into mail_events (mail_id, type) select id, 'scheduled' from mail where state = 'scheduled'
"""
THERE = "select 1 from messages where id = any(%(ids)s)"
COPY = "copy message_contents (message_id, raw) from stdin (format binary)"
COPY_BEGINS, COPY_ENDS = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
"""PostgreSQL's binary format of COPY: signature, flags and no header, the rows, the trailer."""
MESSAGE_COLUMNS = (
    "id",
    "key_id",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply_to",
    "subject",
    "stream",
    "tags",
    "scheduled_at",
    "test",
    "source",
    "size",
    "content",
)
MAIL_COLUMNS = ("mail_id", "recipient", "message_id", "mail_stream", "mail_test", "due", "limited", "traceparent")


@dataclass(frozen=True, slots=True)
class MessageRows:
    """A message as it is stored, with a mail for each of its recipients."""

    id: UUID
    message: tuple[Any, ...]
    mails: Sequence[tuple[Any, ...]]
    content: bytes

    @property
    def size(self) -> int:
        """Octets of its content."""
        return len(self.content)

    @property
    def is_copied(self) -> bool:
        """True if its content is too large for `PUT` and is copied."""
        return self.size >= COPIED

    @property
    def at_once(self) -> list[UUID]:
        """The mails that workers are told of at once: none if they are to be sent later."""
        return [mail[0] for mail in self.mails if mail[5] is None]

    @property
    def is_bulk(self) -> bool:
        """True if its mails go behind all others."""
        return bool(self.message[8] == BULK)


def rows_of(
    message_id: UUID,
    draft: Draft,
    content: bytes,
    *,
    key_id: UUID | None,
    test: bool,
    source: str,
    turn: datetime | None,
) -> MessageRows:
    """Return the rows of a message. `turn` is when a sending limit lets it go; none: at once."""
    due = draft.scheduled_at if turn is None else max(turn, draft.scheduled_at or turn)
    limited = due is not None and due == turn
    message = (
        message_id,
        key_id,
        str(draft.sender),
        _array([str(box) for box in draft.to]),
        _array([str(box) for box in draft.cc]),
        _array([str(box) for box in draft.bcc]),
        _array([str(box) for box in draft.reply_to]),
        draft.subject,
        draft.stream,
        dumps(dict(draft.tags)) if draft.tags else "{}",
        draft.scheduled_at,
        test,
        source,
        len(content),
        b"" if len(content) >= COPIED else content,
    )
    facts, trace = (due, limited), tracing.traceparent()
    mails = [
        (new_id(), recipient, message_id, draft.stream, test or is_test_recipient(recipient), *facts, trace)
        for recipient in draft.recipients
    ]
    return MessageRows(message_id, message, mails, content)


def values_of(rows: Sequence[MessageRows]) -> dict[str, Any]:
    """Return the parameters of `PUT` for these messages."""
    messages = zip(*(one.message for one in rows), strict=True)
    mails = zip(*(mail for one in rows for mail in one.mails), strict=True)
    return {
        **dict(zip(MESSAGE_COLUMNS, map(list, messages), strict=True)),
        **dict(zip(MAIL_COLUMNS, map(list, mails), strict=True)),
        "nudge_in": timedelta(seconds=FIRST_NUDGE),
        "expires_in": EXPIRES_AFTER,
    }


def copied(rows: Sequence[MessageRows]) -> Iterator[bytes]:
    """Yield the input of `COPY`: the contents of the messages that `PUT` wrote without content."""
    yield COPY_BEGINS
    for one in rows:
        if one.is_copied:
            yield struct.pack("!hi16si", 2, 16, one.id.bytes, one.size)
            yield one.content
    yield COPY_ENDS


def is_test_recipient(address: str) -> bool:
    """Tell whether an address is one of Resend's for tests: such a mail goes to no mail server."""
    return address.lower().endswith("@resend.dev")


def _array(texts: Sequence[str]) -> str:
    """Return texts as PostgreSQL writes an array, since the arrays of a column may differ in length."""
    if not texts:
        return "{}"
    return '{"' + '","'.join([text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]) + '"}'
