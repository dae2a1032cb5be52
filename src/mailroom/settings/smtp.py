"""The mail server's address."""

from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

from mailroom.settings.url_parts import UrlParts, shown_host

StartTLS = Literal["required", "opportunistic", "never"]
SMTP_SCHEMES = ("smtp", "smtps")
EXAMPLE = "smtp://user:password@host:587 or smtps://user:password@host:465"
PLAIN_PORT, SUBMISSION_PORT, TLS_PORT = 25, 587, 465


@dataclass(frozen=True, slots=True)
class SMTPServer:
    """Where mail is handed over.

    `tls` means TLS from the first byte (RFC 8314 §3.3); `starttls` says what to do about RFC 3207 otherwise.
    """

    host: str
    port: int
    tls: bool
    starttls: StartTLS
    username: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read ``smtp://user:password@host:587?starttls=required`` or ``smtps://…``.

        If credentials are given, STARTTLS is required (they must not cross a network in the clear); else it is
        used when offered. Raises `ValueError` with what to write instead.
        """
        parts = UrlParts.parse(url, schemes=SMTP_SCHEMES, example=EXAMPLE)
        if parts.path:
            raise ValueError("must end with host and port; only ?starttls= may follow")
        if set(parts.options) - {"starttls"}:
            raise ValueError("has an option that is not known; there is only starttls")
        if bool(parts.username) != bool(parts.password):
            raise ValueError(f"must name user and password, or neither: {EXAMPLE}")
        tls = parts.scheme == "smtps"
        default = "required" if parts.username else "opportunistic"
        starttls = parts.options.get("starttls", default)
        if starttls not in get_args(StartTLS):
            raise ValueError("must have starttls=required, opportunistic or never")
        usual = TLS_PORT if tls else SUBMISSION_PORT if parts.username else PLAIN_PORT
        return cls(
            host=parts.host,
            port=parts.port or usual,
            tls=tls,
            starttls="never" if tls else cast("StartTLS", starttls),
            username=parts.username or None,
            password=parts.password or None,
        )

    def __str__(self) -> str:
        """``host:port``, safe to show: no credentials."""
        return shown_host(self.host, self.port)
