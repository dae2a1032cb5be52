"""From a draft to RFC 5322 bytes without Bcc: one content for all recipients.

Most messages are plain: ASCII headers that fit on a line, a text, an HTML part, no files. Their bytes are put
together here, at a fraction of what `EmailMessage` costs (`python -m benchmarks.api --only composition`). All
others go through the standard library; a property test compares the short way with it.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from io import BytesIO
from uuid import UUID

from mailroom.mail.messages.draft import Attachment, Draft, Mailbox

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
PLAIN_ADDRESS = re.compile(rf"{ATOM}(\.{ATOM})*@[A-Za-z0-9.-]+")
PLAIN_NAME = re.compile(rf"{ATOM}( {ATOM})*")
PLAIN_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
LINE = 76
"""Octets of a header line that is not folded (RFC 5322 §2.1.1 recommends 78 with its CRLF)."""
LARGE = 256 * 1024
"""Octets from which a file is put into the finished message: the standard library would hold it six times."""
PLACEHOLDER = 33
"""Random octets in place of such a file meanwhile; in base64 they fit on a line, and have no padding."""
ENCODED_AT_ONCE = 57 * 1000
"""Octets; a line holds 57 of them."""
LONGEST_HTML = 2_000_000
"""Characters of HTML that a text is made from; a longer one gets a note instead."""


def compose(draft: Draft, *, message_id: str, date: datetime) -> bytes:
    """Return the message, CRLF line ends, no Bcc. `message_id` is in angle brackets (RFC 5322 §3.6.4)."""
    text = draft.text if draft.text is not None else text_of(draft.html or "")
    short = _plain(draft, text, message_id, date)
    return short if short is not None else _long_way(draft, text, message_id, date)


def compose_the_long_way(draft: Draft, *, message_id: str, date: datetime) -> bytes:
    """Like `compose`, by the standard library alone: tests compare the short way with it."""
    text = draft.text if draft.text is not None else text_of(draft.html or "")
    return _long_way(draft, text, message_id, date)


def message_id_of(message_id: UUID, domain: str) -> str:
    """Return the Message-ID of a message of ours; `domain` is in ASCII."""
    return f"<{message_id}@{domain}>"


def text_of(html: str) -> str:
    """Return a text part for an HTML mail that has none."""
    if len(html) > LONGEST_HTML:
        return "This message is HTML only.\n"
    from inscriptis import get_text  # it takes 6 MB in a process, and few mails need it

    return get_text(html).strip() + "\n" if html.strip() else "\n"


def needs_utf8(draft: Draft) -> bool:
    """Tell whether an address of the headers has a local part outside ASCII (RFC 6532)."""
    boxes = (draft.sender, *draft.to, *draft.cc, *draft.reply_to)
    return any(not box.address.rpartition("@")[0].isascii() for box in boxes)


def _plain(draft: Draft, text: str, message_id: str, date: datetime) -> bytes | None:
    """Return the bytes of a plain message; None if it is not plain."""
    if draft.attachments:
        return None
    fields = [
        ("From", _plain_boxes([draft.sender])),
        ("To", _plain_boxes(draft.to)),
        ("Subject", draft.subject),
        ("Date", _date(date)),
        ("Message-ID", message_id),
    ]
    fields += [("Cc", _plain_boxes(draft.cc))] if draft.cc else []
    fields += [("Reply-To", _plain_boxes(draft.reply_to))] if draft.reply_to else []
    fields += draft.headers.items()
    lines: list[str] = []
    for name, value in fields:
        if value is None or len(name) + 2 + len(value) > LINE or not PLAIN_VALUE.fullmatch(value):
            return None
        if "=?" in value:
            return None  # it would read as an encoded word
        lines.append(f"{name}: {value}\r\n")
    head = "".join(lines).encode("ascii") + b"MIME-Version: 1.0\r\n"
    if draft.html is None:
        return head + _part("plain", text)
    boundary = secrets.token_hex(16).encode()  # 128 random bits, which occur in no part
    parts = (_part("plain", text), _part("html", draft.html))
    return b"".join(
        (
            head,
            b'Content-Type: multipart/alternative; boundary="' + boundary + b'"\r\n\r\n',
            *(b"--" + boundary + b"\r\n" + part for part in parts),
            b"--" + boundary + b"--\r\n",
        )
    )


@lru_cache(maxsize=8)
def _date(date: datetime) -> str:
    """Return a moment as header fields have it; all messages of a batch have the same."""
    return format_datetime(date.astimezone(UTC).replace(microsecond=0))


def _plain_boxes(boxes: Sequence[Mailbox]) -> str | None:
    words: list[str] = []
    for box in boxes:
        if not PLAIN_ADDRESS.fullmatch(box.address) or (box.name and not PLAIN_NAME.fullmatch(box.name)):
            return None
        words.append(str(box))
    return ", ".join(words)


def _part(subtype: str, text: str) -> bytes:
    """Return a part of text in quoted-printable (RFC 2045 §6.7), with its headers."""
    coded = binascii.b2a_qp(_lines(text).encode(), istext=True)
    head = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
    return head.encode("ascii") + coded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _long_way(draft: Draft, text: str, message_id: str, date: datetime) -> bytes:
    utf8 = needs_utf8(draft)
    policy = SMTP.clone(utf8=utf8)
    message = EmailMessage(policy=policy)
    message["From"] = _addresses([draft.sender])
    message["To"] = _addresses(draft.to)
    message["Subject"] = draft.subject
    message["Date"] = _date(date)
    message["Message-ID"] = message_id
    if draft.cc:
        message["Cc"] = _addresses(draft.cc)
    if draft.reply_to:
        message["Reply-To"] = _addresses(draft.reply_to)
    for name, value in draft.headers.items():
        message[name] = value
    message.set_content(_lines(text), cte="quoted-printable")
    html_part = None
    if draft.html is not None:
        message.add_alternative(_lines(draft.html), subtype="html", cte="quoted-printable")
        html_part = list(message.iter_parts())[-1]
    inline = [file for file in draft.attachments if file.content_id and html_part is not None]
    for file in inline:
        assert isinstance(html_part, EmailMessage)
        maintype, subtype = _type_of(file)
        html_part.add_related(
            file.content,
            maintype,
            subtype,
            cid=f"<{file.content_id}>",
            filename=file.filename,
            disposition="inline",
        )
    large: dict[bytes, bytes] = {}
    for file in draft.attachments:
        if file not in inline:
            maintype, subtype = _type_of(file)
            content = file.content
            if len(content) >= LARGE:
                content = secrets.token_bytes(PLACEHOLDER)
                large[base64.b64encode(content)] = file.content
            message.add_attachment(content, maintype, subtype, filename=file.filename)
    return _with_files(message.as_bytes(policy=policy), large)


def _with_files(made: bytes, files: Mapping[bytes, bytes]) -> bytes:
    """Return a message with files in the places of their placeholders, which it has in this order."""
    rest, whole = made, BytesIO()
    for placeholder, content in files.items():
        before, _, rest = rest.partition(placeholder)
        whole.write(before)
        for part in _encoded(content):
            whole.write(part)
    whole.write(rest)
    return whole.getvalue()


def _encoded(content: bytes) -> Iterator[bytes]:
    """Yield a file in base64 (RFC 2045 §6.8), without the last line end."""
    for start in range(0, len(content), ENCODED_AT_ONCE):
        part = base64.encodebytes(content[start : start + ENCODED_AT_ONCE]).replace(b"\n", b"\r\n")
        yield part if start + ENCODED_AT_ONCE < len(content) else part[:-2]


def _type_of(file: Attachment) -> tuple[str, str]:
    maintype, _, subtype = file.content_type.partition(";")[0].strip().partition("/")
    return maintype, subtype


def _addresses(boxes: Sequence[Mailbox]) -> list[Address]:
    made = []
    for box in boxes:
        local, _, domain = box.address.rpartition("@")
        made.append(Address(display_name=box.name, username=local, domain=domain))
    return made


def _lines(text: str) -> str:
    """Return the text as whole lines, and without lone surrogates, which UTF-8 cannot hold (RFC 3629 §3)."""
    text = text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"
