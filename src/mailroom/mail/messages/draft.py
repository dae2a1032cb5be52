"""What a program asks to have sent: checked, but not yet made into a message."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from mailroom.kit.errors import MailroomError

MOST_RECIPIENTS = 50
"""Addresses of To, Cc and Bcc together, as Resend has it."""
LONGEST_LINE = 998
"""Octets of a line without its CRLF (RFC 5322 §2.1.1)."""
MOST_HEADERS = 50
MOST_TAGS = 75
HEADER_NAME = re.compile(r"[!-9;-~]{1,76}")
"""Printable ASCII without the colon (RFC 5322 §3.6.8)."""
LONGEST_FILENAME = 255
OURS = frozenset(
    (
        "bcc",
        "cc",
        "content-disposition",
        "content-id",
        "content-transfer-encoding",
        "content-type",
        "date",
        "dkim-signature",
        "from",
        "message-id",
        "mime-version",
        "received",
        "reply-to",
        "resent-bcc",
        "resent-cc",
        "resent-date",
        "resent-from",
        "resent-message-id",
        "resent-sender",
        "resent-to",
        "return-path",
        "sender",
        "subject",
        "to",
    )
)
"""Headers that are made from the request's other fields, or that only mail servers may add."""
TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}(; *[\x20-\x7e]*)?")
Stream = Literal["transactional", "bulk"]
STREAMS: tuple[str, ...] = get_args(Stream)


class InvalidMessage(MailroomError):
    """A message cannot be sent as it was asked for. `field` names what to mend."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name and an address (RFC 5322 §3.4): `name` may be empty, `address` is in Unicode."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a message; with a `content_id` the HTML may show it (`cid:`, RFC 2392)."""

    filename: str
    content: bytes
    content_type: str = "application/octet-stream"
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as its sender wants it. At least one of `to`, `cc`, `bcc`, and of `text` and `html`."""

    sender: Mailbox
    to: Sequence[Mailbox]
    subject: str
    text: str | None = None
    html: str | None = None
    cc: Sequence[Mailbox] = ()
    bcc: Sequence[Mailbox] = ()
    reply_to: Sequence[Mailbox] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    scheduled_at: datetime | None = None
    stream: Stream = "transactional"
    envelope: Sequence[str] | None = None
    """The addresses it goes to, if a client named them itself (SMTP): the headers only say what it shows."""

    @property
    def recipients(self) -> list[str]:
        """Each address once, in the order To, Cc, Bcc."""
        if self.envelope is not None:
            return list(dict.fromkeys(self.envelope))
        return list(dict.fromkeys(box.address for box in (*self.to, *self.cc, *self.bcc)))

    def check(self) -> None:
        """Raise `InvalidMessage` for the first thing that is wrong."""
        if not self.to:
            raise InvalidMessage("to", "Give at least one address.")
        if len(self.recipients) > MOST_RECIPIENTS:
            raise InvalidMessage("to", f"A message has at most {MOST_RECIPIENTS} recipients; send several.")
        if self.text is None and self.html is None:
            raise InvalidMessage("html", "Give `html` or `text`.")
        if CONTROL.search(self.subject):
            raise InvalidMessage("subject", "A subject is one line without control characters.")
        check_headers(self.headers)
        check_tags(self.tags)
        for attachment in self.attachments:
            check_attachment(attachment)


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `InvalidMessage` if a header is malformed, too long, or reserved."""
    if len(headers) > MOST_HEADERS:
        raise InvalidMessage("headers", f"Give at most {MOST_HEADERS} headers.")
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise InvalidMessage("headers", "A header's name has 1 to 76 printable ASCII characters and no colon.")
        if name.lower() in OURS:
            raise InvalidMessage("headers", f"{name} is made from the other fields; leave it out of `headers`.")
        if CONTROL.search(value):
            raise InvalidMessage("headers", f"{name} has a line break or another control character.")
        if len(name) + 2 + len(value.encode("utf-8", "replace")) > 10 * LONGEST_LINE:
            raise InvalidMessage("headers", f"{name} is too long.")


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise `InvalidMessage` if a tag has characters that Resend does not allow."""
    if len(tags) > MOST_TAGS:
        raise InvalidMessage("tags", f"Give at most {MOST_TAGS} tags.")
    for name, value in tags.items():
        if not (TAG.fullmatch(name) and TAG.fullmatch(value)):
            raise InvalidMessage(
                "tags", "Names and values of tags have 1 to 256 ASCII letters, digits, underscores or dashes."
            )


def check_attachment(attachment: Attachment) -> None:
    """Raise `InvalidMessage` if a name or a type cannot be written in a header."""
    if (
        not attachment.filename
        or len(attachment.filename) > LONGEST_FILENAME
        or CONTROL.search(attachment.filename)
    ):
        raise InvalidMessage("attachments", "A filename has 1 to 255 characters and no control characters.")
    if not CONTENT_TYPE.fullmatch(attachment.content_type) or attachment.content_type.lower().startswith(
        ("multipart/", "message/")
    ):
        raise InvalidMessage("attachments", "A content_type looks like image/png.")
    if attachment.content_id is not None and not re.fullmatch(r"[!-;=?-~]{1,128}", attachment.content_id):
        raise InvalidMessage(
            "attachments", "A content_id has 1 to 128 printable ASCII characters without < and >."
        )
