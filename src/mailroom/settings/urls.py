"""The addresses of the three servers Mailroom needs, and its own: read once and checked once."""

import re
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from mailroom.kit.domain_names import address_literal, ip_of, to_ascii, to_unicode

StartTLS = Literal["required", "opportunistic", "never"]

EXAMPLE = "https://mail.example.org"
SCHEME_AND_HOST = f"must be scheme and host only: {EXAMPLE}"
DOMAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def database_url(url: str) -> str:
    """Return `url` with the driver SQLAlchemy needs; hosts give ``postgres://`` or ``postgresql://``."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ValueError("must look like postgresql://user:password@host:5432/name; Mailroom needs PostgreSQL")
    if not urlsplit(url).path.strip("/"):
        raise ValueError("names no database: end it with /name")
    return f"postgresql+psycopg://{rest}"


def redis_url(url: str, *, verify_tls: bool) -> str:
    """Return `url` in the one form that kombu, Celery's backend and redis-py all take.

    ``rediss://`` needs ``ssl_cert_reqs`` for Celery; it is ``required`` unless `verify_tls` is false.
    The database number is the path, 0 when left out.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "valkey", "valkeys"} or not parts.hostname:
        raise ValueError("must look like redis://:password@host:6379/0 (or rediss:// for TLS)")
    database = parts.path.strip("/") or "0"
    if not database.isdigit():
        raise ValueError(f"the database after the host must be a number, not {database!r}")
    scheme = "rediss" if parts.scheme in {"rediss", "valkeys"} else "redis"
    query = dict(parse_qsl(parts.query))
    if scheme == "rediss":
        query["ssl_cert_reqs"] = "required" if verify_tls else "none"
    return urlunsplit(SplitResult(scheme, parts.netloc, f"/{database}", urlencode(query), ""))


def broker_url(urls: str, *, verify_tls: bool) -> str:
    """Like `redis_url`, for several brokers joined by ``;`` (Celery takes the first that answers)."""
    return ";".join(redis_url(url.strip(), verify_tls=verify_tls) for url in urls.split(";") if url.strip())


def public_url(url: str) -> str:
    """Return `url` as links begin: scheme and host in small letters, the port where one is given, nothing more.

    A host outside ASCII becomes what browsers ask for (IDNA), an IPv6 address its shortest form (RFC 5952).
    Raises `ValueError` with what to write instead.
    """
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
    except ValueError:  # brackets that hold no IPv6 address
        raise ValueError(SCHEME_AND_HOST) from None
    if "@" in parts.netloc:
        raise ValueError("must name no user: https://mail.example.org")
    if parts.scheme not in {"http", "https"} or not host or parts.path.strip("/") or any(map(str.isspace, host)):
        raise ValueError(SCHEME_AND_HOST)
    if parts.query or parts.fragment:
        raise ValueError("must end with the host: https://mail.example.org, without ? and #")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"must have a port from 1 to 65535, or none: {parts.scheme}://mail.example.org:8443")
    return f"{parts.scheme}://{_host(host)}" + (f":{port}" if port else "")


def _host(written: str) -> str:
    """Return a host as browsers send it. Raises ValueError where it is neither a domain nor an IP address."""
    if address := ip_of(written):
        return str(address) if address.version == 4 else f"[{address}]"  # noqa: PLR2004
    try:
        host = to_ascii(written)
    except ValueError:
        host = ""
    # A last label that is a number makes browsers read an IPv4 address, of whatever form.
    if not DOMAIN.fullmatch(host) or NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise ValueError(f"must have a domain or an IP address as its host: {EXAMPLE}")
    return host


def ehlo_name(public_url: str) -> str:
    """Return what to say in EHLO (RFC 5321 §4.1.1.1): the host, or an IP address as an address literal."""
    host = urlsplit(public_url).hostname or "localhost"
    address = ip_of(host)
    return address_literal(address) if address else host


def readable_host(public_url: str) -> str:
    """Return host and port of `public_url` as people read them: international names not in ASCII."""
    return to_unicode(urlsplit(public_url).netloc)


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

        STARTTLS is required where credentials are given (they must not cross a network in the clear),
        else used when offered.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("must look like smtp://user:password@host:587 or smtps://user:password@host:465")
        tls = parts.scheme == "smtps"
        query = dict(parse_qsl(parts.query))
        starttls = query.pop("starttls", None) or ("required" if parts.username else "opportunistic")
        if query:
            raise ValueError(f"does not know the option {min(query)!r}; there is only starttls")
        if starttls not in {"required", "opportunistic", "never"}:
            raise ValueError(f"starttls must be required, opportunistic or never, not {starttls!r}")
        if parts.username and not parts.password:
            raise ValueError("names a user but no password: smtp://user:password@host:587")
        try:
            port = parts.port or (465 if tls else 587 if parts.username else 25)
        except ValueError:
            raise ValueError("the port must be a number from 1 to 65535") from None
        try:
            host = to_ascii(parts.hostname)
        except ValueError:
            raise ValueError("names a host that can be none") from None
        return cls(
            host=host,
            port=port,
            tls=tls,
            starttls="never" if tls else starttls,  # type: ignore[arg-type]  # checked above
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    def __str__(self) -> str:
        """``host:port``, safe to show: no credentials."""
        return f"{self.host}:{self.port}"


def without_password(url: str) -> str:
    """Return `url` fit for a log or a screen: the password replaced by ``***``."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, host = quote(parts.username or ""), parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:***@{host}"))
