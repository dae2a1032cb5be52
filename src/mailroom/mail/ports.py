"""What `mail` asks of rooms above it. `bootstrap` says who answers."""

from collections.abc import Sequence
from typing import Protocol

from mailroom.mail.ledger.claims import Claim


class Suppressions(Protocol):
    """Knows which recipients want no mail."""

    async def suppressed(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """Return for each claimed mail whether it must not be sent; it ends `suppressed` then.

        This is asked once for each claim, so a repeat and a mail that waited are asked about again. Raises
        `Unavailable`: nothing is sent then, and the leases bring the mails back.
        """


class NoSuppressions:
    """Everybody wants mail: nothing is known of bounces and complaints."""

    async def suppressed(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """Return false for each."""
        return [False] * len(claims)


class Signatures(Protocol):
    """Who signs mails (DKIM, RFC 6376): each copy while it is sent, since a message's copies share its content."""

    def fields(self, sender: str, data: bytes) -> bytes:
        """Return the header fields that go in front of a mail, each with its CRLF; none where it is not signed.

        `sender` is the address of MAIL, with its domain in ASCII. `data` is what DATA sends: dot-stuffed (RFC 5321
        §4.5.2) and with the final dot, which a hash must not see. This is called in the event loop, for each
        attempt: a signature by `cryptography` takes half a millisecond, and may not wait for anything.
        """


class NoSignatures:
    """No mail is signed: the mail server does that, or nobody."""

    def fields(self, sender: str, data: bytes) -> bytes:  # noqa: ARG002  # as the port has it
        """Return nothing."""
        return b""
