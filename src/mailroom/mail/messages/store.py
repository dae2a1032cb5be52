"""Puts messages into the outbox: the message, its content and a mail for each recipient, in one statement."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation

from mailroom.kit import clock
from mailroom.kit.coalescer import Coalescer
from mailroom.kit.database import Database, PlainWork
from mailroom.kit.errors import Unavailable
from mailroom.kit.ids import new_id
from mailroom.mail.kinds import MailKind, Notify
from mailroom.mail.messages.composition import compose, message_id_of
from mailroom.mail.messages.draft import Draft, InvalidMessage
from mailroom.mail.messages.rows import (
    COPY,
    EXPIRES_AFTER,
    KIND,
    PUT,
    THERE,
    MessageRows,
    copied,
    is_test_recipient,
    rows_of,
    values_of,
)
from mailroom.mail.states import State
from mailroom.progress.sentence import Sentence
from mailroom.statistics.counters import Counters
from mailroom.statistics.names import CREATED

MESSAGE = MailKind(KIND, Sentence("title.plain_mail"), expires_after=EXPIRES_AFTER)
"""The kind that has no templates: its content came with it."""
LATEST = timedelta(days=30)
"""How far ahead a message may be scheduled, as Resend has it."""
LARGEST = 40_000_000
"""Octets of a message's content, encoded: 40 MB, as the request's limit."""
ALONE = 256 * 1024
"""Octets from which a request has a statement of its own: it would keep the others waiting."""

TELL_EVERY = 0.025
"""Seconds between two messages to workers while many mails come; a mail that comes alone does not wait."""


class MessageStore:
    """The outbox of other programs' messages. What was put and committed is sent, or its end is shown."""

    def __init__(
        self,
        database: Database,
        notify: Notify,
        *,
        domain: str,
        wake_bulk: Callable[[], None] = lambda: None,
        counters: Counters | None = None,
    ) -> None:
        """`domain` (ASCII) is used in each Message-ID; `wake_bulk` has a worker claim mails of the bulk stream."""
        self._database = database
        self._notify = notify
        self._wake_bulk = wake_bulk
        self._domain = domain
        self._counters = counters or Counters()
        self._together = Coalescer(self._commit)
        self._untold: list[UUID] = []
        self._telling: asyncio.TimerHandle | None = None

    def rows_of_drafts(
        self,
        drafts: Iterable[Draft],
        *,
        key_id: UUID | None,
        test: bool = False,
        source: str = "http",
        turns: Sequence[datetime | None] | None = None,
    ) -> list[MessageRows]:
        """Make these messages, in order; nothing is written yet.

        `turns` holds for each the time when a sending limit lets it go (None: at once). Raises `InvalidMessage`.
        """
        now = clock.now()
        made: list[MessageRows] = []
        for place, draft in enumerate(drafts):
            draft.check()
            _check_time(draft, now)
            message_id = new_id()
            content = compose(draft, message_id=message_id_of(message_id, self._domain), date=now)
            turn = turns[place] if turns else None
            made.append(
                self.rows_of_content(
                    draft, content, key_id=key_id, test=test, source=source, turn=turn, message_id=message_id
                )
            )
        return made

    def rows_of_content(
        self,
        draft: Draft,
        content: bytes,
        *,
        key_id: UUID | None,
        test: bool,
        source: str,
        turn: datetime | None = None,
        message_id: UUID | None = None,
    ) -> MessageRows:
        """Make a message that has its RFC 5322 bytes already; `draft` holds what is known of them."""
        if len(content) > LARGEST:
            raise InvalidMessage("attachments", f"A message has at most {LARGEST // 1_000_000} MB, encoded.")
        return rows_of(message_id or new_id(), draft, content, key_id=key_id, test=test, source=source, turn=turn)

    async def put_many(self, work: PlainWork, drafts: Iterable[Draft], **options: Any) -> list[UUID]:
        """Write these messages in `work`; return their ids, in order. Workers are told after the commit.

        For the options see `rows_of_drafts`. Raises `InvalidMessage`; then nothing is written.
        """
        rows = self.rows_of_drafts(drafts, **options)
        await self.write(work, rows)
        return [one.id for one in rows]

    async def put(self, work: PlainWork, draft: Draft, **options: Any) -> UUID:
        """Put one message; see `put_many`."""
        return (await self.put_many(work, [draft], **options))[0]

    async def write(self, work: PlainWork, rows: Sequence[MessageRows]) -> None:
        """Write these messages in `work`. Workers are told after the commit."""
        await work.fetch(PUT, values_of(rows))
        if any(one.is_copied for one in rows):
            await work.copy_in(COPY, copied(rows))
        work.after_commit(lambda: self._tell(rows))

    async def commit(self, rows: Sequence[MessageRows]) -> None:
        """Write these messages, all or none, and commit: together with others that come at the same time.

        Raises `Unavailable`; then nobody knows whether they were written.
        """
        if any(one.is_copied for one in rows):
            try:
                await self._commit_copied(rows)
            except Unavailable:  # perhaps only the answer was lost
                await self._commit_copied(rows, again=True)
            return
        if sum(one.size for one in rows) >= ALONE:
            (error,) = await self._commit([rows])
        else:
            error = await self._together.run(rows)
        if error:
            raise error

    async def _commit_copied(self, rows: Sequence[MessageRows], *, again: bool = False) -> None:
        """Commit messages with large contents; with `again`, first check whether they are there."""
        try:
            async with self._database.begin_plain() as work:
                if again and await work.fetch(THERE, {"ids": [one.id for one in rows]}):
                    work.after_commit(lambda: self._tell(rows))
                else:
                    await self.write(work, rows)
        except UniqueViolation:
            if not again:
                raise
            self._tell(rows)  # the first try was committed meanwhile

    async def _commit(self, requests: Sequence[Sequence[MessageRows]]) -> list[Exception | None]:
        """Commit several requests in one statement. If one of them breaks it, each gets a statement of its own.

        Workers are told of many mails at once, which costs them a third of what a message for each would.
        """
        rows = [one for request in requests for one in request]
        try:
            await self._database.fetch(PUT, values_of(rows))
        except Unavailable:
            raise
        except Exception as error:
            if len(requests) == 1:
                return [error]
            return [(await self._commit([request]))[0] for request in requests]
        self._tell(rows)
        return [None] * len(requests)

    def _tell(self, rows: Sequence[MessageRows]) -> None:
        for stream, number in Counter(mail[3] for one in rows for mail in one.mails).items():
            self._counters.add(CREATED, stream, number)
        self._untold += [mail_id for one in rows if not one.is_bulk for mail_id in one.at_once]
        if self._untold and not self._telling:
            self._tell_now()
            self._telling = asyncio.get_running_loop().call_later(TELL_EVERY, self._tell_rest)
        if any(one.is_bulk and one.at_once for one in rows):
            self._wake_bulk()

    def _tell_rest(self) -> None:
        self._telling = None
        if self._untold:
            self._tell_now()
            self._telling = asyncio.get_running_loop().call_later(TELL_EVERY, self._tell_rest)

    def _tell_now(self) -> None:
        untold, self._untold = self._untold, []
        self._notify(untold)


def outcome_of_test(address: str) -> State:
    """Return how a test mail ends: to `bounced@` it fails, to `suppressed@` it is suppressed, others are sent."""
    local = address.lower().partition("@")[0].partition("+")[0]
    if not is_test_recipient(address):
        return State.SENT
    return {"bounced": State.FAILED, "suppressed": State.SUPPRESSED}.get(local, State.SENT)


def _check_time(draft: Draft, now: datetime) -> None:
    if draft.scheduled_at and draft.scheduled_at > now + LATEST:
        raise InvalidMessage("scheduled_at", f"A message is scheduled at most {LATEST.days} days ahead.")
