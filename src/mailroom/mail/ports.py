"""Protocols of what `mail` needs from the rooms above it. `bootstrap` supplies the implementations."""

from collections.abc import Sequence
from typing import Protocol

from mailroom.mail.ledger.claims import Claim


class Suppressions(Protocol):
    """Knows which recipients want no mail."""

    async def suppressed(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """Return for each claimed mail whether it must not be sent; then it ends as `suppressed`.

        This is asked once for each claim, so a repeat and a mail that waited are asked about again. Raises
        `Unavailable`: nothing is sent then, and the leases bring the mails back.
        """


class NoSuppressions:
    """Everybody wants mail: nothing is known of bounces and complaints."""

    async def suppressed(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """Return false for each."""
        return [False] * len(claims)
