"""The kinds of mail, which other rooms declare, and the notification of workers, which `jobs` provides."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from mailroom.progress.sentence import Sentence

WITHHELD = "withheld"
"""The parameter of a mail that goes through every stage without its content being sent (`Outbox.put`)."""
TIME_ZONE = "time_zone"
"""The parameter that names its reader's time zone (IANA database)."""
RESERVED = frozenset({WITHHELD, TIME_ZONE})
"""Parameters that the outbox itself sets: a caller's own would silently change how a mail is sent."""


class Reader(NamedTuple):
    """Whom a mail is written for: in which language, and by which clock its times are."""

    language: str | None = None
    """A tag (RFC 5646). None: the current language when the mail is put."""
    time_zone: str | None = None
    """A name of the IANA database. None: UTC."""


class MailRow(NamedTuple):
    """The facts of a mail that a kind gets to make the variables of its templates."""

    id: UUID
    kind: str
    recipient: str
    params: Mapping[str, Any]
    nonce: bytes
    created_at: datetime
    language: str | None = None
    """The tag of its language; None: English."""


class MessageBytes(NamedTuple):
    """The content of a message of another program, as the mail server takes it."""

    sender: str
    """The envelope's sender (RFC 5321 §2.3.1), its domain in ASCII."""
    data: bytes
    """RFC 5322 bytes, dot-stuffed, with the final dot; shared by the message's recipients."""
    utf8: bool
    """True if a header needs SMTPUTF8 (RFC 6531)."""
    eight_bit: bool
    """True if it holds octets above 127."""


def _no_variables(_row: MailRow) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class MailKind:
    """One kind of mail. Its templates are in `mail/templates/<name>/`: subject.txt, body.txt, body.html.

    Watchers read `title`: a text as it is, a `Sentence` in their language. Kinds that must look alike share it.
    `variables` returns the variables of the templates. It runs in the worker while the mail is rendered, so that
    links and codes are stored nowhere. `on_uncertain` says what to do if nobody knows whether the server has
    the mail: ``resend`` it a few times under the same Message-ID, or ``hold`` it for a person. A mail that is not
    accepted within `expires_after` of its queueing expires. If `shows_tag` is false, the header names the
    recipient without its tag (`+news`): a stranger may have chosen it.
    """

    name: str
    title: str | Sentence
    on_uncertain: Literal["resend", "hold"] = "resend"
    expires_after: timedelta = timedelta(hours=48)
    variables: Callable[[MailRow], Mapping[str, str]] = _no_variables
    shows_tag: bool = True


class UnknownKind(LookupError):
    """There is no kind of mail with this name; `bootstrap.services.mail_kinds` lists all kinds."""


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
        """Yield the kinds in the order given."""
        return iter(self._by_name.values())


class Notify(Protocol):
    """Notifies the workers of mails to send. Never blocks and never raises: if it fails, the sweep finds them."""

    def __call__(self, mail_ids: Sequence[UUID]) -> None:
        """Publish these ids in the background."""
