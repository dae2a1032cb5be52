"""What a mail looks like, for operators: its links and codes that let somebody in are masked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from mailroom.mail.kinds import Kinds, MailKind, MailRow
from mailroom.mail.rendering.inline_pictures import with_pictures
from mailroom.mail.rendering.renderer import Renderer
from mailroom.settings.brand import PLAIN, Brand

MASK = "••••••••"
_SECRET_LINK = re.compile(r"^(https?://[^/]+/[^/]+/).+$")
"""A link with more than a page's name: the rest is a token."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Subject and bodies of a mail; a body that it does not have is empty."""

    subject: str
    text: str
    html: str


class Previews:
    """Makes previews. The preview of a row is the mail that a worker would send, except for what is masked."""

    def __init__(
        self,
        kinds: Kinds,
        *,
        mail_from: str,
        product: Mapping[str, str],
        brand: Brand = PLAIN,
        overrides: Sequence[Path] = (),
    ) -> None:
        masked = Kinds([replace(kind, variables=_Masked(kind)) for kind in kinds])
        self._renderer = Renderer(masked, mail_from=mail_from, product=product, brand=brand, overrides=overrides)

    def of_row(self, row: MailRow) -> Preview:
        """Return the preview of a mail made from templates. Raises `BrokenMail`."""
        stuffed = self._renderer.render_the_long_way(row).data.removesuffix(b".\r\n")
        return of_bytes(stuffed.replace(b"\r\n..", b"\r\n."))


class _Masked:
    """The variables of a kind without its secrets."""

    def __init__(self, kind: MailKind) -> None:
        self._variables = kind.variables

    def __call__(self, row: MailRow) -> Mapping[str, str]:
        return {name: _mask(name, value) for name, value in self._variables(row).items()}


def _mask(name: str, value: str) -> str:
    return MASK if name == "code" else _SECRET_LINK.sub(rf"\1{MASK}", value)


def of_bytes(raw: bytes) -> Preview:
    """Return the preview of RFC 5322 bytes."""
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    html = with_pictures(message, _body(message, "html"))
    return Preview(str(message["Subject"] or ""), _body(message, "plain"), html)


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (KeyError, LookupError, ValueError):  # a charset that nobody knows
        raw = part.get_payload(decode=True)
        return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
