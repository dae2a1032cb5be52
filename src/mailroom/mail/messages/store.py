"""Puts messages into the outbox: the message, its content and a mail for each recipient, in one transaction."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from mailroom.kit import clock
from mailroom.kit.database import PlainWork
from mailroom.kit.ids import new_id
from mailroom.mail.kinds import MailKind, Notify
from mailroom.mail.messages.composition import compose, message_id_of
from mailroom.mail.messages.draft import Draft, InvalidMessage
from mailroom.mail.outbox import FIRST_NUDGE
from mailroom.mail.states import State
from mailroom.progress.sentence import Sentence
from mailroom.statistics.counters import Counters
from mailroom.statistics.names import CREATED

KIND, BULK = "message", "bulk"
"""The kind of every mail of a message."""
EXPIRES_AFTER = timedelta(hours=48)
MESSAGE = MailKind(KIND, Sentence("title.plain_mail"), expires_after=EXPIRES_AFTER)
"""The kind that has no templates: its content came with it."""
LATEST = timedelta(days=30)
"""How far ahead a message may be scheduled, as Resend has it."""
LARGEST = 40_000_000
"""Octets of a message's content, encoded: 40 MB, as the request's limit."""

PUT_MESSAGES = """
insert into messages (id, key_id, sender, to_addresses, cc_addresses, bcc_addresses, reply_to, subject, stream,
    tags, scheduled_at, test, source, size)
select id, %(key_id)s, sender, array(select jsonb_array_elements_text("to")),
    array(select jsonb_array_elements_text(cc)), array(select jsonb_array_elements_text(bcc)),
    array(select jsonb_array_elements_text(reply_to)), subject, stream, tags, scheduled_at, test, %(source)s, size
from jsonb_to_recordset(%(messages)s) as given (id uuid, sender text, "to" jsonb, cc jsonb, bcc jsonb,
    reply_to jsonb, subject text, stream text, tags jsonb, scheduled_at timestamptz, test bool, size int)
"""
PUT_CONTENTS = """
insert into message_contents (message_id, raw)
select * from unnest(%(ids)s::uuid[], %(contents)s::bytea[])
"""
PUT_MAILS = """
with put as (
    insert into mails (id, kind, recipient, params, nonce, on_uncertain, message_id, stream, test, state,
        reason, next_attempt_at, nudge_at, expires_at)
    select id, %(kind)s, recipient, '{}', '', 'resend', message_id, stream, test,
        case when due is null then 'queued' else 'scheduled' end, case when limited then 'limited' end,
        due, coalesce(due, now() + case when stream = 'bulk' then interval '0' else %(nudge_in)s end),
        coalesce(due, now()) + %(expires_in)s
    from unnest(%(ids)s::uuid[], %(recipients)s::text[], %(message_ids)s::uuid[], %(streams)s::text[],
        %(tests)s::bool[], %(dues)s::timestamptz[], %(limited)s::bool[])
        as given (id, recipient, message_id, stream, test, due, limited)
    returning id, state
)
insert into mail_events (mail_id, type) select id, 'scheduled' from put where state = 'scheduled'
"""


class MessageStore:
    """The outbox of other programs' messages. What was put and committed is sent, or its end is shown."""

    def __init__(
        self,
        notify: Notify,
        *,
        domain: str,
        wake_bulk: Callable[[], None] = lambda: None,
        counters: Counters | None = None,
    ) -> None:
        """`domain` (ASCII) stands in each Message-ID; `wake_bulk` has a worker claim mails of the bulk stream."""
        self._notify = notify
        self._wake_bulk = wake_bulk
        self._domain = domain
        self._counters = counters or Counters()

    async def put(self, work: PlainWork, draft: Draft, **options: Any) -> UUID:
        """Put one message; see `put_many`."""
        return (await self.put_many(work, [draft], **options))[0]

    async def put_many(
        self,
        work: PlainWork,
        drafts: Sequence[Draft],
        *,
        key_id: UUID | None,
        test: bool = False,
        source: str = "http",
        turns: Sequence[datetime | None] | None = None,
    ) -> list[UUID]:
        """Write these messages in `work`; return their ids, in order. Workers are told after the commit.

        `turns` holds for each the moment a sending limit lets it go (none: at once). Raises `InvalidMessage`; then
        nothing is written.
        """
        now = clock.now()
        contents: list[bytes] = []
        ids = [new_id() for _ in drafts]
        for message_id, draft in zip(ids, drafts, strict=True):
            draft.check()
            _check_time(draft, now)
            contents.append(compose(draft, message_id=message_id_of(message_id, self._domain), date=now))
        await self._write(work, ids, drafts, contents, key_id=key_id, test=test, source=source, turns=turns)
        return ids

    async def put_raw(
        self,
        work: PlainWork,
        draft: Draft,
        content: bytes,
        *,
        key_id: UUID | None,
        test: bool,
        source: str,
        turns: Sequence[datetime | None] | None = None,
    ) -> UUID:
        """Write a message that has its RFC 5322 bytes already; `draft` holds what is known of them."""
        message_id = new_id()
        await self._write(
            work, [message_id], [draft], [content], key_id=key_id, test=test, source=source, turns=turns
        )
        return message_id

    async def _write(
        self,
        work: PlainWork,
        ids: Sequence[UUID],
        drafts: Sequence[Draft],
        contents: Sequence[bytes],
        *,
        key_id: UUID | None,
        test: bool,
        source: str,
        turns: Sequence[datetime | None] | None,
    ) -> None:
        messages: list[dict[str, Any]] = []
        mails: list[tuple[UUID, str, UUID, str, bool, datetime | None, bool]] = []
        for place, (message_id, draft, content) in enumerate(zip(ids, drafts, contents, strict=True)):
            if len(content) > LARGEST:
                raise InvalidMessage("attachments", f"A message has at most {LARGEST // 1_000_000} MB, encoded.")
            turn = turns[place] if turns else None
            due = max(filter(None, (draft.scheduled_at, turn)), default=None)
            messages.append(_row(message_id, draft, test=test, size=len(content)))
            mails += [
                (
                    new_id(),
                    recipient,
                    message_id,
                    draft.stream,
                    test or is_test_recipient(recipient),
                    due,
                    due is not None and due == turn,
                )
                for recipient in draft.recipients
            ]
        await work.write(PUT_MESSAGES, {"key_id": key_id, "source": source, "messages": Jsonb(messages)})
        await work.write(PUT_CONTENTS, {"ids": list(ids), "contents": list(contents)})
        names = ("ids", "recipients", "message_ids", "streams", "tests", "dues", "limited")
        columns = dict(zip(names, map(list, zip(*mails, strict=True)), strict=True))
        await work.write(
            PUT_MAILS,
            {
                **columns,
                "kind": KIND,
                "nudge_in": timedelta(seconds=FIRST_NUDGE),
                "expires_in": EXPIRES_AFTER,
            },
        )
        streams = Counter(mail[3] for mail in mails)
        work.after_commit(lambda: self._count(streams))
        at_once = [mail for mail in mails if mail[5] is None]
        transactional = [mail[0] for mail in at_once if mail[3] != BULK]
        if transactional:
            work.after_commit(lambda: self._notify(transactional))
        if len(at_once) > len(transactional):
            work.after_commit(self._wake_bulk)

    def _count(self, streams: Mapping[str, int]) -> None:
        for stream, number in streams.items():
            self._counters.add(CREATED, stream, number)


def is_test_recipient(address: str) -> bool:
    """Tell whether an address is one of Resend's for tests: such a mail goes to no mail server."""
    return address.lower().endswith("@resend.dev")


def outcome_of_test(address: str) -> State:
    """Return how a test mail to this address ends: `bounced@` fails, `suppressed@` is that, others are sent."""
    local = address.lower().partition("@")[0].partition("+")[0]
    if not is_test_recipient(address):
        return State.SENT
    return {"bounced": State.FAILED, "suppressed": State.SUPPRESSED}.get(local, State.SENT)


def _check_time(draft: Draft, now: datetime) -> None:
    if draft.scheduled_at and draft.scheduled_at > now + LATEST:
        raise InvalidMessage("scheduled_at", f"A message is scheduled at most {LATEST.days} days ahead.")


def _row(message_id: UUID, draft: Draft, *, test: bool, size: int) -> dict[str, Any]:
    return {
        "id": str(message_id),
        "sender": str(draft.sender),
        "to": [str(box) for box in draft.to],
        "cc": [str(box) for box in draft.cc],
        "bcc": [str(box) for box in draft.bcc],
        "reply_to": [str(box) for box in draft.reply_to],
        "subject": draft.subject,
        "stream": draft.stream,
        "tags": dict(draft.tags),
        "scheduled_at": draft.scheduled_at.isoformat() if draft.scheduled_at else None,
        "test": test,
        "size": size,
    }
