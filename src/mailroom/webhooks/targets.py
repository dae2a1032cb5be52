"""Which addresses a webhook may have: https or http, and none in a private network (SSRF, OWASP)."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from mailroom.kit.errors import MailroomError

LONGEST_URL = 2000


class ForbiddenTarget(MailroomError):
    """The webhook's address leads into a private network. WEBHOOK_PRIVATE_NETWORKS=yes allows that."""


class InvalidUrl(MailroomError):
    """A webhook's address looks like https://shop.example/hooks, without a user or a fragment."""


def check_url(url: str, *, private: bool) -> None:
    """Raise `InvalidUrl` or `ForbiddenTarget` for what can be told without asking the DNS."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidUrl from None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= LONGEST_URL
    if not plain or parts.scheme not in {"http", "https"} or not host or parts.username or parts.fragment:
        raise InvalidUrl
    try:
        address = ip_address(host)
    except ValueError:
        return
    if not private and not is_public(address):
        raise ForbiddenTarget


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is public; one that contains an IPv4 address is judged by that one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _nat64(address)
        if inner is not None:
            return is_public(inner)
        if address.teredo:
            return False
    return address.is_global and not address.is_multicast


def _nat64(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address inside of 64:ff9b::/96 (RFC 6052)."""
    return IPv4Address(int(address) & 0xFFFFFFFF) if int(address) >> 32 == 0x0064FF9B << 64 else None
