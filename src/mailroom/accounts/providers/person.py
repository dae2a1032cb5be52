"""What a provider says of who signed in there, and what this room asks of a provider."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Prompt(StrEnum):
    """What a provider is to ask of a browser that it knows (OpenID Connect Core §3.1.2.1)."""

    LOGIN = "login"
    """A confirmation of who it is."""
    SELECT_ACCOUNT = "select_account"
    """Which of its accounts is meant."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in at a provider: `subject` is the provider's own id, and never changes."""

    subject: str
    email: str | None = field(default=None, repr=False)
    is_verified: bool = False
    """True if the provider has made sure that the address is this person's."""
    authenticated_at: float | None = None
    """When the person proved there who they are (seconds since 1970), if the provider says so."""


class SignInProvider(Protocol):
    """The interface of `providers/provider.py`, without its HTTP client, which few processes need."""

    name: str
    label: str
    issuer: str

    async def address(self, *, state: str, nonce: str, verifier: str, prompt: Prompt | None = None) -> str:
        """Return where a browser is sent to sign in there."""

    async def check_sender(self, issuer: str | None) -> None:
        """Check who an answer is from."""

    async def person(self, code: str, *, verifier: str, nonce: str) -> Person:
        """Give the code to the provider, and return who signed in."""

    async def trouble(self) -> str | None:
        """Return why nobody could sign in with it now, in words for operators."""

    async def close(self) -> None:
        """Close the connections."""
