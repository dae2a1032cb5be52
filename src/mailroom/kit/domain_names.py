"""Domain names outside ASCII: the one conversion between the form that people read and the form in protocols.

It is IDNA 2008 (RFC 5891). Python's own `idna` codec is IDNA 2003 and makes `strasse.example` of `straße.example`,
which is another domain.
"""

import unicodedata
from ipaddress import IPv4Address, IPv6Address, ip_address

import idna

Address = IPv4Address | IPv6Address


def evened_out(text: str) -> str:
    """Return `text` without differences of case and canonical equivalence (Unicode §3.7, §3.13); keep all others.

    Case folding and compatibility mappings would remove more: `ß` and `ss`, `ﬁ` and `fi`.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def to_ascii(domain: str) -> str:
    """Return a domain as DNS, SMTP, headers and links hold it: in small letters, each label in ASCII.

    Only differences of case and canonical equivalence are removed. Raises ValueError if IDNA 2008 forbids a label.
    """
    if domain.isascii():
        return domain.lower()
    # Character by character (RFC 5895 §2.1): `lower()` of a whole word treats a final sigma differently.
    small = "".join(map(str.lower, unicodedata.normalize("NFC", domain)))
    domain = unicodedata.normalize("NFC", small)
    return domain if domain.isascii() else idna.encode(domain, strict=True).decode("ascii")


def to_unicode(domain: str) -> str:
    """Return a domain as people read it; a label that IDNA 2008 does not know stays in ASCII."""
    return ".".join(_read(label) for label in domain.split("."))


def _read(label: str) -> str:
    if not label.lower().startswith("xn--"):
        return label
    try:
        return idna.ulabel(label)
    except idna.IDNAError:
        return label


def ip_of(host: str) -> Address | None:
    """Return the IP address that a URL names instead of a domain, or None."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return None if getattr(address, "scope_id", None) else address


def address_literal(address: Address) -> str:
    """Return an IP address as it stands in EHLO (RFC 5321 §4.1.3)."""
    return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"  # noqa: PLR2004
