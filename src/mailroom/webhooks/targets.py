"""Which addresses a webhook may have: https or http, and none inside our own network (SSRF, OWASP).

A name is resolved once, its addresses are checked, and the connection goes to a checked address: a second answer
of the DNS (rebinding) has no say. Redirects are not followed.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpcore

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
    """Tell whether an address is one of the internet's; those that hold an IPv4 address are judged by it, too."""
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


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects for httpcore, to checked addresses only."""

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, connect. Raises `ForbiddenTarget`, `httpcore.ConnectError`."""
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        allowed = [address for address in addresses if self._private or is_public(address)]
        if not allowed:
            raise ForbiddenTarget
        return await self._backend.connect_tcp(
            str(allowed[0]), port, timeout=timeout, local_address=local_address, socket_options=socket_options
        )

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def open_pool(*, private: bool, connections: int) -> httpcore.AsyncConnectionPool:
    """Return a pool that keeps to the rules of this file."""
    return httpcore.AsyncConnectionPool(
        ssl_context=ssl.create_default_context(),
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=5,
        network_backend=GuardedBackend(private=private),
    )
