"""The client of a request, and the scheme and host that it used. Only this module reads X-Forwarded headers."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Protocol

from werkzeug.datastructures import Headers

_PLAIN = {"ws": "http", "wss": "https"}
_ENDING_IN_IPV4 = tuple(
    IPv6Network(text)
    for text in (
        "::/96",  # compatible (RFC 4291 §2.5.5.1)
        "::ffff:0:0:0/96",  # translated (RFC 2765 §2.1)
        "64:ff9b::/96",  # NAT64 (RFC 6052 §2.1)
    )
)


class RequestLike(Protocol):
    """The part of a request or websocket that says where it came from."""

    @property
    def headers(self) -> Headers:
        """Every header."""

    @property
    def remote_addr(self) -> str | None:
        """The peer of the connection."""

    @property
    def scheme(self) -> str:
        """http, https, ws or wss, of the connection."""


@dataclass(frozen=True, slots=True)
class Client:
    """The client's address, and the scheme (http or https) and host (with its port) that it used."""

    address: str
    scheme: str
    host: str

    @property
    def limited_as(self) -> str:
        """What rate limits count this client by."""
        return limited_as(self.address)


def limited_as(address: str) -> str:
    """Return what limits count an address by: an IPv4 address, or the /64 that an IPv6 user has at least.

    An IPv6 address that contains an IPv4 address counts as that one. Otherwise its owner could make up as many
    /64s or addresses as they like.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    inner = _ipv4_in(found)
    return str(inner) if inner else f"{IPv6Address(int(found) >> 64 << 64)}/64"


def _ipv4_in(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address in an IPv6 one: mapped (RFC 4291), 6to4 (3056), Teredo (4380), translated."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if any(address in network for network in _ENDING_IN_IPV4) and int(address) >> 16:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def client_of(request: RequestLike, hops: int) -> Client:
    """Return the client of a request that came through `hops` trusted proxies (TRUSTED_PROXIES).

    Each proxy appends to X-Forwarded-For what it saw, so only the right-most `hops` entries are true: the
    left-most of those is the client. Entries further left are what the client claims. Without trusted proxies
    the headers are not read at all.
    """
    headers = request.headers
    scheme = _forwarded(headers, "X-Forwarded-Proto", hops) or request.scheme
    return Client(
        address=address_of(headers, request.remote_addr, hops),
        scheme=_PLAIN.get(scheme.lower(), scheme.lower()),
        host=(_forwarded(headers, "X-Forwarded-Host", hops) or headers.get("Host", "")).lower(),
    )


def address_of(headers: Headers, peer: str | None, hops: int) -> str:
    """Return the client's address, behind `hops` trusted proxies; `peer` is who holds the connection."""
    forwarded = _forwarded(headers, "X-Forwarded-For", hops)
    return (forwarded and _without_port(forwarded)) or peer or "unknown"


def _without_port(entry: str) -> str | None:
    """Return the address of an entry, which some proxies write with a port; None if it holds no address."""
    text = entry.strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _forwarded(headers: Headers, name: str, hops: int) -> str | None:
    if not hops:
        return None
    values = [value.strip() for value in ",".join(headers.getlist(name)).split(",")]
    trusted = [value for value in values if value][-hops:]
    return trusted[0] if trusted else None
