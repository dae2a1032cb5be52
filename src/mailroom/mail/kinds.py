"""What mail needs from others, and what others give it: kinds of mail, the nudge, the clock of a lease."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from mailroom.progress.message import Message

WITHHELD = "withheld"
"""The parameter of a mail that goes every stage without its content being sent (`Outbox.put`)."""


class MailRow(NamedTuple):
    """What a kind may know of a mail while its variables are made: who, about what, and its nonce."""

    id: UUID
    kind: str
    recipient: str
    params: Mapping[str, Any]
    nonce: bytes
    created_at: datetime


class MessageBytes(NamedTuple):
    """The content of a message of another program, as the mail server takes it."""

    sender: str
    """The envelope's sender (RFC 5321 §2.3.1), its domain in ASCII."""
    data: bytes
    """RFC 5322 bytes, dot-stuffed, with the final dot; shared by the message's recipients."""
    utf8: bool
    """True where a header needs SMTPUTF8 (RFC 6531)."""


def _no_variables(_row: MailRow) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class MailKind:
    """One kind of mail: its words live in `mail/templates/<name>/` (subject.txt, body.txt, body.html).

    `title` is what its watchers read: a text as it is, a `Message` in their language; kinds that must not be told
    apart share one. `variables` runs in the worker while rendering, so that links and codes never rest anywhere.
    `on_uncertain` says what to do where nobody knows whether the server has the mail: send it again under the same
    Message-ID, a few times, or hold it for a person at once. A mail not accepted within `expires_after` of its
    queueing is given up as expired. Where `shows_tag` is false, the header names the recipient without its tag
    (`+news`): a stranger may have chosen it.
    """

    name: str
    title: str | Message
    on_uncertain: Literal["resend", "hold"] = "resend"
    expires_after: timedelta = timedelta(hours=48)
    variables: Callable[[MailRow], Mapping[str, str]] = _no_variables
    shows_tag: bool = True


class UnknownKind(LookupError):
    """No such kind of mail; `bootstrap.services.mail_kinds` lists those there are."""


class Kinds:
    """Every kind of mail this program can send, by name."""

    def __init__(self, kinds: Iterable[MailKind]) -> None:
        self._by_name = {kind.name: kind for kind in kinds}

    def __getitem__(self, name: str) -> MailKind:
        """Return the kind of this name; raises `UnknownKind`."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownKind(name) from None

    def __iter__(self) -> Iterator[MailKind]:
        """Go through the kinds in the order given."""
        return iter(self._by_name.values())


class Notify(Protocol):
    """Tell the workers that these mails want sending. Never blocks, never raises; may fail and nothing is lost."""

    def __call__(self, mail_ids: Sequence[UUID]) -> None:
        """Publish in the background."""
