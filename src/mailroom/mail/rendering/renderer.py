"""Makes the bytes of a mail from its row: subject, text and HTML come from the folder of its kind."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from mailroom.i18n import formats, languages
from mailroom.i18n.templates import translate_mail_templates
from mailroom.kit.domain_names import to_ascii
from mailroom.kit.template_loader import OverridingLoader
from mailroom.mail.kinds import RESERVED, TIME_ZONE, WITHHELD, Kinds, MailKind, MailRow
from mailroom.mail.rendering.compiled_template import PARTS, CompiledTemplate
from mailroom.mail.rendering.faults import explain
from mailroom.mail.rendering.inline_pictures import InlinePicture
from mailroom.settings.brand import PLAIN, Brand
from mailroom.settings.sender import Sender

TEMPLATES = Path(__file__).parents[1] / "templates"

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
SIMPLE = re.compile(rf"{ATOM}(\.{ATOM})*@[A-Za-z0-9.-]+")
"""Addresses that need no encoding in a header (RFC 5322 §3.4.1, dot-atom; no SMTPUTF8, no IDN)."""
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONGEST_SIMPLE = 74
"""Characters of an address that fit on the line of "To: " (RFC 5322 §2.1.1)."""


class BrokenMail(ValueError):
    """The mail can never be rendered; another try would not help."""


class Envelope(NamedTuple):
    """The envelope (RFC 5321 §2.3.1) and the content; `data` is dot-stuffed and ends with the final dot."""

    sender: str
    recipient: str
    data: bytes
    utf8: bool = False
    """True if an address or a header needs SMTPUTF8 (RFC 6531)."""
    eight_bit: bool = False
    """True if the content holds octets above 127, which needs 8BITMIME (RFC 6152)."""
    withheld: bool = False
    """True if the server is told the recipient, but not given the content."""


class Renderer:
    """Renders mails. The same row gives the same Message-ID, link and code in every attempt.

    The templates of a kind are compiled with its first mail, if they do nothing but print their variables
    (`compiled_template.py`). All other mails go the long way, through Jinja and the standard library. A property
    test compares the two ways. Templates in the folders `overrides` take precedence over those in `templates`.
    """

    def __init__(
        self,
        kinds: Kinds,
        *,
        mail_from: str,
        product: Mapping[str, str],
        brand: Brand = PLAIN,
        templates: Path = TEMPLATES,
        overrides: Sequence[Path] = (),
    ) -> None:
        self._kinds = kinds
        self._sender = Sender.parse(mail_from)
        self._address = self._sender.address
        self._product = product
        self._domain = self._address.rpartition("@")[2]
        self._prepared: dict[tuple[str, str, tuple[str, ...]], CompiledTemplate | None] = {}
        sender = EmailMessage(policy=SMTP)
        sender["From"] = self._sender.header
        self._from_line = sender.as_bytes().removesuffix(b"\r\n")
        self._templates = jinja2.Environment(
            loader=OverridingLoader(templates, overrides),
            autoescape=jinja2.select_autoescape(["html"]),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
        )
        translate_mail_templates(self._templates)
        self._has_footer = bool(brand.links)
        self._picture: InlinePicture | None = None
        if brand.mail_logo:
            content = brand.mail_logo.content
            self._picture = InlinePicture(f"{hashlib.sha256(content).hexdigest()[:20]}@{self._domain}", content)
        self._templates.globals.update(brand=brand, site=brand.site, picture=self._picture)

    def message_id(self, row: MailRow) -> str:
        """Return the Message-ID (RFC 5322 §3.6.4), made from the mail's id."""
        return f"<{row.id}@{self._domain}>"

    def render(self, row: MailRow) -> Envelope:
        """Return the mail, ready for the server. Raises `BrokenMail`; `UnknownKind` if its app is missing."""
        return self._made(row, self._short_way)

    def render_the_long_way(self, row: MailRow) -> Envelope:
        """Like `render`, but always by Jinja and the standard library: tests compare `render` with it."""
        return self._made(row, lambda *_: None)

    def _made(
        self, row: MailRow, short: Callable[[MailRow, MailKind, dict[str, Any]], Envelope | None]
    ) -> Envelope:
        zone = row.params.get(TIME_ZONE)
        with (
            languages.speaking(row.language or languages.DEFAULT),
            formats.in_time_zone(zone if isinstance(zone, str) else None),
        ):
            return self._written(row, short)

    def _written(
        self, row: MailRow, short: Callable[[MailRow, MailKind, dict[str, Any]], Envelope | None]
    ) -> Envelope:
        words: dict[str, Any] = {}
        kind = self._kinds[row.kind]  # outside the try: another worker may have the kind's app
        try:
            params = {name: value for name, value in row.params.items() if name not in RESERVED}
            words = {**self._product, **params, **kind.variables(row)}
            made = short(row, kind, words)
            if made is None:
                subject, text, html = (self._write(kind.name, part, words) for part in PARTS)
                made = self._envelope(row, kind, " ".join(subject.split()), text, html)
            return made._replace(withheld=True) if row.params.get(WITHHELD) is True else made
        except Exception as error:
            # The variables could hold a link: only names and places may leave here.
            raise BrokenMail(explain(error, row.kind, self._templates, words)) from None

    def _write(self, kind: str, part: str, words: Mapping[str, Any]) -> str:
        written = self._templates.get_template(f"{kind}/{part}").render(words)
        if part != "body.txt" or not self._has_footer:
            return written
        footer = self._templates.get_template("footer.txt").render(words)
        return written + ("\n" if written.endswith("\n") else "\n\n") + footer

    def _short_way(self, row: MailRow, kind: MailKind, words: dict[str, Any]) -> Envelope | None:
        recipient = row.recipient
        if len(recipient) > LONGEST_SIMPLE or not SIMPLE.fullmatch(recipient):
            return None
        prepared = self._compiled(kind.name, tuple(words))
        filled = prepared.filled(words) if prepared else None
        if prepared is None or filled is None:
            return None
        subject, content = filled
        head = (
            f"To: {shown_in_header(kind, recipient)}\r\nDate: {_date(row.created_at.replace(microsecond=0))}\r\n"
            f"Message-ID: {self.message_id(row)}\r\nAuto-Submitted: auto-generated\r\n"
            f"MIME-Version: 1.0\r\nContent-Type: {prepared.content_type}\r\n"
        )
        data = b"".join((_subject_line(subject), self._from_line, head.encode("ascii"), *content, b".\r\n"))
        return Envelope(self._address, recipient, data)

    def _compiled(self, kind: str, names: tuple[str, ...]) -> CompiledTemplate | None:
        key = (kind, languages.current(), names)
        if key not in self._prepared:
            try:
                self._prepared[key] = CompiledTemplate(names, partial(self._write, kind), self._picture)
            except Exception:  # its templates need real values: such mails go the long way
                self._prepared[key] = None
        return self._prepared[key]

    def _envelope(self, row: MailRow, kind: MailKind, subject: str, text: str, html: str) -> Envelope:
        recipient, utf8 = deliverable(row.recipient)
        message = EmailMessage(policy=SMTP)
        message["Subject"] = subject
        message["From"] = self._sender.header
        local, _, domain = shown_in_header(kind, row.recipient if utf8 else recipient).rpartition("@")
        message["To"] = Address(username=local, domain=domain)
        message["Date"] = format_datetime(row.created_at)
        message["Message-ID"] = self.message_id(row)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic replies
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        if self._picture and self._picture.is_in(html):
            content_id, content = self._picture
            part = list(message.iter_parts())[1]
            assert isinstance(part, EmailMessage)
            part.add_related(
                content, "image", "png", cid=f"<{content_id}>", filename="logo.png", disposition="inline"
            )
        flat = message.as_bytes(policy=SMTP.clone(utf8=utf8))
        return Envelope(self._address, recipient, dot_stuffed(flat), utf8)


def shown_in_header(kind: MailKind, address: str) -> str:
    """Return the recipient as "To:" names it; the envelope has the whole address."""
    if kind.shows_tag:
        return address
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


def deliverable(address: str) -> tuple[str, bool]:
    """Return the address for the envelope, its domain in ASCII (IDNA), and whether it needs SMTPUTF8.

    Raises ValueError if it cannot be an address.
    """
    if CONTROL.search(address):
        raise ValueError("an address with control characters")
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain if domain.isascii() else to_ascii(domain)}", not local.isascii()


@lru_cache(maxsize=64)
def _subject_line(subject: str) -> bytes:
    """Return the Subject header, encoded and folded; cached, since most mails of a kind share one."""
    header = EmailMessage(policy=SMTP)
    header["Subject"] = subject
    return header.as_bytes().removesuffix(b"\r\n")


@lru_cache(maxsize=64)
def _date(at: datetime) -> str:
    """Return a time for a header (RFC 5322 §3.3), in UTC; three times as fast as the standard library."""
    at = at.astimezone(UTC)
    day, month = DAYS[at.weekday()], MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year} {at.hour:02}:{at.minute:02}:{at.second:02} +0000"


def dot_stuffed(flat: bytes) -> bytes:
    """Return CRLF-ended `flat` as DATA takes it (RFC 5321 §4.5.2): leading dots doubled, the final dot added."""
    end = b".\r\n" if flat.endswith(b"\r\n") else b"\r\n.\r\n"
    return (b"." if flat.startswith(b".") else b"") + flat.replace(b"\r\n.", b"\r\n..") + end
