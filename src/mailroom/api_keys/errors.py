"""What can be wrong with an API key, or with what it asks for."""

from uuid import UUID

from mailroom.kit.errors import MailroomError


class MissingKey(MailroomError):
    """No API key was given. Send `Authorization: Bearer mr_…`."""


class InvalidKey(MailroomError):
    """The API key is unknown, revoked or expired."""

    key_id: UUID | None = None
    """The key that was revoked or has expired."""


class RestrictedKey(MailroomError):
    """The scope of the API key does not allow it."""


class ForbiddenSender(MailroomError):
    """The API key may not send From this address."""


class UnknownKey(MailroomError):
    """There is no such API key."""


class InvalidKeyRequest(MailroomError):
    """An API key cannot be made like this. `field` names what to mend."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


class IdempotencyConflict(MailroomError):
    """The Idempotency-Key was used with another payload within the last 24 hours."""


class ConcurrentRequest(MailroomError):
    """A request with this Idempotency-Key is under way. Try again in a moment."""
