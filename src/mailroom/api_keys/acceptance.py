"""Takes in messages of programs, over HTTP and SMTP: may this key send them, and when may they go?"""

import asyncio
from collections.abc import Iterator
from functools import partial
from uuid import UUID

from mailroom.api_keys import idempotency, sending_limits
from mailroom.api_keys.keys import ApiKeys, Key
from mailroom.api_keys.sending_limits import SendingLimits
from mailroom.kit.database import Database, PlainWork
from mailroom.mail.messages.draft import Draft
from mailroom.mail.messages.store import MessageStore

IN_THREAD = 256 * 1024
"""Octets of files from which messages are made in a thread: the loop has other work."""


class Acceptance:
    """Puts messages of programs into the outbox; every such message comes through here."""

    def __init__(self, database: Database, keys: ApiKeys, store: MessageStore, limits: SendingLimits) -> None:
        self._database = database
        self._keys = keys
        self._store = store
        self._limits = limits

    def check(self, key: Key, draft: Draft) -> None:
        """Raise `InvalidMessage` or `ForbiddenSender` for what this key may not send like this."""
        draft.check()
        self._keys.check_sender(key, draft.sender.address)

    async def accept(self, work: PlainWork, key: Key, drafts: list[Draft]) -> list[UUID]:
        """Write these messages, which were checked; return their ids. Over a limit they wait for their turn.

        The list is empty afterwards: a draft is dropped once its message is made, so that its files are not in
        memory beside it.
        """
        turns = await self._limits.turns(work, key, [draft.recipients for draft in drafts])
        return await self._store.put_many(work, _taken(drafts), key_id=key.id, test=key.test, turns=turns)

    async def accept_at_once(self, key: Key, drafts: list[Draft]) -> list[UUID]:
        """Like `accept`, in a transaction of its own, which is committed on return. Raises `Unavailable`."""
        if self._limits.hold(key):
            async with self._database.begin_plain() as work:
                return await self.accept(work, key, drafts)
        files = sum(len(file.content) for draft in drafts for file in draft.attachments)
        make = partial(self._store.rows_of_drafts, _taken(drafts), key_id=key.id, test=key.test)
        rows = await asyncio.to_thread(make) if files >= IN_THREAD else make()
        await self._store.commit(rows)
        return [one.id for one in rows]

    async def accept_raw(self, key: Key, draft: Draft, content: bytes, *, source: str) -> UUID:
        """Write one message that has its RFC 5322 bytes already, without Bcc; `draft` says what is known.

        It is committed on return. Raises `Unavailable`.
        """
        if not self._limits.hold(key):
            rows = self._store.rows_of_content(draft, content, key_id=key.id, test=key.test, source=source)
            await self._store.commit([rows])
            return rows.id
        async with self._database.begin_plain() as work:
            turns = await self._limits.turns(work, key, [draft.recipients])
            rows = self._store.rows_of_content(
                draft, content, key_id=key.id, test=key.test, source=source, turn=turns[0] if turns else None
            )
            await self._store.write(work, [rows])
        return rows.id

    async def clean_up(self) -> None:
        """Forget answers that are too old for any repeat, and limits that are not in use; the sweep calls this."""
        await self._database.fetch(idempotency.FORGET, {"kept": idempotency.KEPT})
        await self._database.fetch(sending_limits.FORGET, {})


def _taken(drafts: list[Draft]) -> Iterator[Draft]:
    """Yield the drafts in order, and take each off the list."""
    drafts.reverse()
    while drafts:
        yield drafts.pop()
