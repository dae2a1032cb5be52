"""Makes the envelope of a claimed mail: rendered from templates, or one recipient's copy of a message."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from mailroom.mail.ledger.claims import Claim
from mailroom.mail.messages.contents import Contents, envelope_of
from mailroom.mail.rendering.renderer import Envelope, Renderer


class Envelopes:
    """The one place where delivery gets what it sends."""

    def __init__(self, renderer: Renderer, contents: Contents) -> None:
        self._renderer = renderer
        self._contents = contents

    async def load(self, claims: Sequence[Claim]) -> list[Claim]:
        """Return the claims; those of small messages have their content with them. Raises `Unavailable`."""
        return await self._contents.attach(claims)

    @asynccontextmanager
    async def open(self, claim: Claim) -> AsyncIterator[Envelope]:
        """Lend a mail's envelope. A large message is loaded for it, when few others are in memory.

        Raises `BrokenMail`, `Unavailable`.
        """
        if claim.message_id is None:
            yield self._renderer.render(claim.row)
            return
        async with self._contents.open(claim) as content:
            yield envelope_of(claim.recipient, content)

    def at_once(self, claim: Claim) -> Envelope | None:
        """Return a mail's envelope if nothing has to be loaded for it. Raises `BrokenMail`."""
        if claim.test:
            return None
        if claim.message_id is None:
            return self._renderer.render(claim.row)
        return envelope_of(claim.recipient, claim.content) if claim.content else None
