"""Makes the envelope of a claimed mail: rendered from templates, or one recipient's copy of a message."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from mailroom.mail.ledger.claims import Claim
from mailroom.mail.messages.contents import Contents, envelope_of
from mailroom.mail.ports import Suppressions
from mailroom.mail.rendering.renderer import Envelope, Renderer


class Envelopes:
    """The only source of the envelopes that delivery sends."""

    def __init__(self, renderer: Renderer, contents: Contents, suppressions: Suppressions) -> None:
        self._renderer = renderer
        self._contents = contents
        self._suppressions = suppressions

    async def load(self, claims: Sequence[Claim]) -> list[Claim]:
        """Return the claims: with their content if it is small, and marked if nothing may be sent.

        Raises `Unavailable`.
        """
        suppressed = await self._suppressions.suppressed(claims)
        return await self._contents.attach(
            [
                claim._replace(suppressed=True) if held else claim
                for claim, held in zip(claims, suppressed, strict=True)
            ]
        )

    @asynccontextmanager
    async def open(self, claim: Claim) -> AsyncIterator[Envelope]:
        """Lend a mail's envelope. A large message is loaded for it once few others are in memory.

        Raises `BrokenMail`, `UnknownKind`, `Unavailable`.
        """
        if claim.message_id is None:
            yield self._renderer.render(claim.row)
            return
        async with self._contents.open(claim) as content:
            yield envelope_of(claim.recipient, content)

    def at_once(self, claim: Claim) -> Envelope | None:
        """Return a mail's envelope if nothing has to be loaded for it. Raises `BrokenMail`, `UnknownKind`."""
        if claim.test or claim.suppressed:
            return None
        if claim.message_id is None:
            return self._renderer.render(claim.row)
        return envelope_of(claim.recipient, claim.content) if claim.content else None
