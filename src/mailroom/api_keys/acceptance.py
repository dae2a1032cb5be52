"""Takes messages of programs in, from either door: may this key send them, and when may they go."""

from collections.abc import Sequence
from uuid import UUID

from mailroom.api_keys import idempotency, sending_limits
from mailroom.api_keys.keys import ApiKeys, Key
from mailroom.api_keys.sending_limits import SendingLimits
from mailroom.kit.database import Database, PlainWork
from mailroom.mail.messages.draft import Draft
from mailroom.mail.messages.store import MessageStore


class Acceptance:
    """The one way of a program's message into the outbox."""

    def __init__(self, database: Database, keys: ApiKeys, store: MessageStore, limits: SendingLimits) -> None:
        self._database = database
        self._keys = keys
        self._store = store
        self._limits = limits

    def check(self, key: Key, draft: Draft) -> None:
        """Raise `InvalidMessage` or `ForbiddenSender` for what this key may not send like this."""
        draft.check()
        self._keys.check_sender(key, draft.sender.address)

    async def accept(self, work: PlainWork, key: Key, drafts: Sequence[Draft]) -> list[UUID]:
        """Write these messages, which were checked; return their ids. Over a limit they wait for their turn."""
        turns = await self._limits.turns(work, key, [draft.recipients for draft in drafts])
        return await self._store.put_many(work, drafts, key_id=key.id, test=key.test, turns=turns)

    async def accept_raw(self, work: PlainWork, key: Key, draft: Draft, content: bytes, *, source: str) -> UUID:
        """Write one message that has its RFC 5322 bytes already, without Bcc; `draft` says what is known."""
        turns = await self._limits.turns(work, key, [draft.recipients])
        return await self._store.put_raw(
            work, draft, content, key_id=key.id, test=key.test, source=source, turns=turns
        )

    async def clean_up(self) -> None:
        """Forget answers that no repeat gets any more, and limits that are untouched; the sweep calls this."""
        await self._database.fetch(idempotency.FORGET, {"kept": idempotency.KEPT})
        await self._database.fetch(sending_limits.FORGET, {})
