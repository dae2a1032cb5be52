"""Who asks, and by which address they came here: the one place that reads X-Forwarded headers."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from werkzeug.datastructures import Headers

_PLAIN = {"ws": "http", "wss": "https"}


class Asked(Protocol):
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
        """The address rate limits count by: an IPv6 user holds a whole /64, so that counts as one."""
        try:
            address = ip_address(self.address)
        except ValueError:
            return self.address
        if not isinstance(address, IPv6Address):
            return self.address
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def client_of(request: Asked, hops: int) -> Client:
    """Return who asks, behind `hops` trusted proxies (TRUSTED_PROXIES).

    Each proxy appends to X-Forwarded-For what it saw, so only the right-most `hops` entries are true: the
    left-most of those is the client. Further left stands whatever the client made up. Without trusted
    proxies the headers are not read at all.
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
    return _forwarded(headers, "X-Forwarded-For", hops) or peer or "unknown"


def _forwarded(headers: Headers, name: str, hops: int) -> str | None:
    if not hops:
        return None
    values = [value.strip() for value in ",".join(headers.getlist(name)).split(",")]
    trusted = [value for value in values if value][-hops:]
    return trusted[0] if trusted else None
