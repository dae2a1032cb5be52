"""Loads the contents of claimed messages: once for all recipients of a message, and never too much at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from mailroom.kit.database import Database
from mailroom.kit.domain_names import to_ascii
from mailroom.mail.kinds import MessageBytes
from mailroom.mail.ledger.claims import Claim
from mailroom.mail.messages.addresses import read_mailbox
from mailroom.mail.messages.rows import KIND
from mailroom.mail.rendering.renderer import BrokenMail, Envelope, deliverable, dot_stuffed

LARGE = 256 * 1024
"""Octets from which a content is loaded only when its mail is about to be sent."""
MOST_LARGE = 4
"""Large contents in memory at a time: of 40 MB each, at most."""

LOAD = """
select m.id, m.sender, c.raw from messages m join message_contents c on c.message_id = m.id
where m.id = any(%(ids)s::uuid[]) and m.size <= %(most)s
"""


class Contents:
    """The contents of messages that this process is about to send."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._large = asyncio.Semaphore(MOST_LARGE)

    async def attach(self, claims: Sequence[Claim]) -> list[Claim]:
        """Return the claims, those of small messages with their content. Raises `Unavailable`."""
        ids = {claim.message_id for claim in claims if claim.message_id and not claim.test}
        if not ids:
            return list(claims)
        found = await self._load(list(ids), LARGE)
        return [
            claim._replace(content=found.get(claim.message_id)) if claim.message_id else claim for claim in claims
        ]

    @asynccontextmanager
    async def open(self, claim: Claim) -> AsyncIterator[MessageBytes]:
        """Lend the content of a claimed message; a large one once fewer than `MOST_LARGE` are in memory.

        Raises `BrokenMail` if it has been dropped, `Unavailable`.
        """
        assert claim.message_id is not None
        if claim.content:
            yield claim.content
            return
        async with self._large:
            yield _one(await self._load([claim.message_id], 2**31 - 1))

    async def _load(self, ids: Sequence[UUID], most: int) -> dict[UUID, MessageBytes]:
        rows: list[Any] = await self._database.fetch(LOAD, {"ids": list(ids), "most": most})
        return {message_id: _bytes_of(sender, bytes(raw)) for message_id, sender, raw in rows}


def _one(found: dict[UUID, MessageBytes]) -> MessageBytes:
    if not found:
        raise BrokenMail(f"{KIND}: its content has been dropped")
    return next(iter(found.values()))


def envelope_of(recipient: str, content: MessageBytes) -> Envelope:
    """Return one recipient's copy as the server takes it. Raises `BrokenMail` if that cannot be an address."""
    try:
        address, utf8 = deliverable(recipient)
    except ValueError as error:
        raise BrokenMail(f"{KIND}: {error}") from None
    return Envelope(content.sender, address, content.data, utf8 or content.utf8, content.eight_bit)


def _bytes_of(sender: str, raw: bytes) -> MessageBytes:
    local, _, domain = read_mailbox(sender, localhost=True).address.rpartition("@")
    head = raw.partition(b"\r\n\r\n")[0]
    utf8 = not head.isascii() or not local.isascii()
    return MessageBytes(f"{local}@{to_ascii(domain)}", dot_stuffed(raw), utf8, not raw.isascii())
