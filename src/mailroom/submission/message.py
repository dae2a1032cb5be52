"""A message as it came over SMTP → what is stored: RFC 5322 bytes without Bcc, and the facts about them.

The message stays as it is but for what RFC 6409 §8 lets a submission server add: Date, Message-ID and a Received
line. Its lines must end with CRLF: a lone CR or LF is refused, since servers disagree about where the message ends
then, and mails can be smuggled in that gap.
"""

import email.policy
import re
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import HeaderRegistry
from email.utils import format_datetime, getaddresses

from mailroom.kit.domain_names import to_ascii
from mailroom.mail.messages.addresses import NotAnAddress, read_mailbox
from mailroom.mail.messages.draft import LONGEST_LINE, Draft, InvalidMessage, Mailbox, Stream

LONG_LINE = re.compile(rb"\n[^\r\n]{%d}" % (LONGEST_LINE + 1))
"""It begins with a line's end, so each octet is looked at once. `read_message` checks the first line by itself.

A pattern that begins anywhere took 2 s for 10 MB in lines of 76 octets, and 49 s for 20 MB in lines of 998. Nobody
else was served meanwhile.
"""
FIELD = re.compile(rb"(?P<name>[!-9;-~]+)[ \t]*:(?P<value>[^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n")
DROPPED = frozenset({b"bcc", b"resent-bcc", b"return-path", b"x-mailroom-stream"})
MOST_HEADER_OCTETS = 256 * 1024
HEADERS = HeaderRegistry()


class Header:
    """The header of a message: its fields in order, as they came."""

    def __init__(self, raw: bytes) -> None:
        """Read the fields. Raises `InvalidMessage`."""
        if len(raw) > MOST_HEADER_OCTETS:
            raise InvalidMessage("header", f"The header has more than {MOST_HEADER_OCTETS // 1024} KB.")
        self._fields: list[tuple[bytes, bytes, bytes]] = []
        position = 0
        while position < len(raw):
            found = FIELD.match(raw, position)
            if found is None:
                raise InvalidMessage("header", "A line of the header is no field (RFC 5322 section 2.2).")
            self._fields.append((found["name"].lower(), found["value"], found[0]))
            position = found.end()

    def value(self, name: bytes) -> str:
        """Return the decoded value of the first field of this name, "" if there is none."""
        raw = next((value for known, value, _ in self._fields if known == name), b"")
        text = raw.decode("utf-8", "replace").replace("\r\n", "").strip()
        if "=?" not in text:
            return text
        return str(HEADERS(name.decode(), text)) if name == b"subject" else text

    def addresses(self, name: bytes) -> list[Mailbox]:
        """Return the addresses of all fields of this name; invalid ones are left out."""
        values = [
            value.decode("utf-8", "replace").replace("\r\n", "")
            for known, value, _ in self._fields
            if known == name
        ]
        boxes: list[Mailbox] = []
        for display, address in getaddresses(values):
            try:
                boxes.append(Mailbox(_decoded(display), read_mailbox(address, localhost=True).address))
            except NotAnAddress:
                continue
        return boxes

    def count(self, name: bytes) -> int:
        """Return how many fields have this name."""
        return sum(known == name for known, _, _ in self._fields)

    def kept(self) -> bytes:
        """Return the header without the fields that must not be sent."""
        return b"".join(line for name, _, line in self._fields if name not in DROPPED)


def read_message(
    raw: bytes, recipients: Sequence[str], *, received: str, message_id: str, now: datetime
) -> tuple[Draft, bytes]:
    """Return what is known of a message, and the bytes to store. Raises `InvalidMessage`.

    `recipients` are the envelope's. `received` is the value of our Received field; `message_id` (in angle
    brackets) is used if the message has none.
    """
    if not raw.count(b"\r") == raw.count(b"\n") == (lines := raw.count(b"\r\n")):
        raise InvalidMessage("content", "Lines must end with CRLF (RFC 5321 section 2.3.8).")
    first_line = raw.find(b"\r\n") if lines else len(raw)
    if first_line > LONGEST_LINE or LONG_LINE.search(raw):
        raise InvalidMessage("content", f"A line has more than {LONGEST_LINE} octets (RFC 5322 section 2.1.1).")
    end = 0 if raw.startswith(b"\r\n") else raw.find(b"\r\n\r\n") + 2
    header = Header(raw[:end] if end != 1 else raw)  # 1: there is only a header
    body = memoryview(raw)[end + 2 if end != 1 else len(raw) :]  # a large one is not copied
    senders = header.addresses(b"from")
    if header.count(b"from") != 1 or len(senders) != 1:
        raise InvalidMessage("from", "A message has one From field with one address.")
    added = [f"Received: {received}; {format_datetime(now)}\r\n"]
    added += [f"Date: {format_datetime(now)}\r\n"] if not header.count(b"date") else []
    added += [f"Message-ID: {message_id}\r\n"] if not header.count(b"message-id") else []
    to, cc = header.addresses(b"to"), header.addresses(b"cc")
    named = {_key(box.address) for box in (*to, *cc)}
    draft = Draft(
        sender=senders[0],
        to=to,
        cc=cc,
        bcc=[Mailbox("", address) for address in recipients if _key(address) not in named],
        reply_to=header.addresses(b"reply-to"),
        subject=header.value(b"subject"),
        text="",
        stream=_stream(header.value(b"x-mailroom-stream")),
        envelope=tuple(recipients),
    )
    return draft, b"".join(("".join(added).encode(), header.kept(), b"\r\n", body))


def _stream(text: str) -> Stream:
    return "bulk" if text.lower() == "bulk" else "transactional"


def _key(address: str) -> str:
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{to_ascii(domain)}".lower()
    except ValueError:
        return address.lower()


def _decoded(text: str) -> str:
    return str(email.policy.default.header_factory("subject", text)) if "=?" in text else text
