"""From a row to the bytes a mail server takes: subject, text and HTML of one folder a kind."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path

import jinja2

from mailroom.mail.interfaces import Kinds, MailRow

TEMPLATES = Path(__file__).parent / "templates"


class BrokenMail(ValueError):
    """A mail that cannot be made into bytes; trying again would not help."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the server is told (RFC 5321 §2.3.1) and given: `data` is dot-stuffed and ends with the dot."""

    sender: str
    recipient: str
    data: bytes
    utf8: bool = False
    """True where the recipient's local part needs SMTPUTF8 (RFC 6531)."""


class Renderer:
    """Makes mails. The same row gives the same Message-ID, link and code in every attempt."""

    def __init__(
        self, kinds: Kinds, *, mail_from: str, product: Mapping[str, str], templates: Path = TEMPLATES
    ) -> None:
        self._kinds = kinds
        self._name, self._address = parseaddr(mail_from)
        self._product = product
        self._domain = self._address.rpartition("@")[2]
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(templates),
            autoescape=jinja2.select_autoescape(["html"]),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
        )

    def message_id(self, row: MailRow) -> str:
        """Return the Message-ID (RFC 5322 §3.6.4), made from the mail's id."""
        return f"<{row.id}@{_ascii_domain(self._domain)}>"

    def render(self, row: MailRow) -> Envelope:
        """Return the mail as the server takes it. Raises `BrokenMail` where it never can be."""
        try:
            kind = self._kinds[row.kind]
            words = {**self._product, **row.params, **kind.variables(row)}
            subject, text, html = (
                self._templates.get_template(f"{kind.name}/{part}").render(words)
                for part in ("subject.txt", "body.txt", "body.html")
            )
            return self._envelope(row, " ".join(subject.split()), text, html)
        except Exception as error:
            # The words could hold a link: only the kind of trouble may leave here.
            raise BrokenMail(f"{row.kind}: {type(error).__name__}") from None

    def _envelope(self, row: MailRow, subject: str, text: str, html: str) -> Envelope:
        recipient, utf8 = deliverable(row.recipient)
        message = EmailMessage(policy=SMTP)
        message["Subject"] = subject
        message["From"] = Address(self._name, addr_spec=self._address)
        local, _, domain = (row.recipient if utf8 else recipient).rpartition("@")
        message["To"] = Address(username=local, domain=domain)
        message["Date"] = format_datetime(row.created_at)
        message["Message-ID"] = self.message_id(row)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes in return
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        flat = message.as_bytes(policy=SMTP.clone(utf8=utf8))
        return Envelope(self._address, recipient, dot_stuffed(flat), utf8)


def deliverable(address: str) -> tuple[str, bool]:
    """Return the address as an envelope holds it: the domain in ASCII (IDNA), and whether it needs SMTPUTF8."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{_ascii_domain(domain)}", not local.isascii()


def _ascii_domain(domain: str) -> str:
    return domain if domain.isascii() else domain.encode("idna").decode("ascii")


def dot_stuffed(flat: bytes) -> bytes:
    """Return CRLF-ended `flat` as DATA takes it (RFC 5321 §4.5.2): leading dots doubled, the final dot added."""
    end = b"" if flat.endswith(b"\r\n") else b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", flat) + end + b".\r\n"
