"""PUBLIC_URL: where people reach Mailroom, as links, EHLO and pages write it."""

import re
from urllib.parse import urlsplit

from mailroom.kit.domain_names import address_literal, ip_of, to_ascii, to_unicode

EXAMPLE = "https://mail.example.org"
SCHEME_AND_HOST = f"must be scheme and host, and a path where one is shared: {EXAMPLE}, https://example.org/mail"
PATH = "must have a path of letters, digits, hyphens and underscores only, or none: https://example.org/mail"
PARTS = re.compile(r"(/[A-Za-z0-9_-]+)*")
DOMAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def public_url(url: str) -> str:
    """Return `url` as the beginning of links: scheme and host in small letters, port and path if they are given.

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
    if parts.scheme not in {"http", "https"} or not host or any(map(str.isspace, host)):
        raise ValueError(SCHEME_AND_HOST)
    if parts.query or parts.fragment:
        raise ValueError("must end with the host or a path: https://mail.example.org, without ? and #")
    path = parts.path.rstrip("/")
    if not PARTS.fullmatch(path):
        raise ValueError(PATH)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"must have a port from 1 to 65535, or none: {parts.scheme}://mail.example.org:8443")
    return f"{parts.scheme}://{_host(host)}" + (f":{port}" if port else "") + path


def _host(written: str) -> str:
    """Return a host as browsers send it. Raises ValueError if it is neither a domain nor an IP address."""
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
