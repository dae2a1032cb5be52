"""Posts deliveries over HTTP to checked addresses only. Nothing else in this room imports `httpcore`.

A name is resolved once, its addresses are checked, and the connection goes to a checked address: a second answer
of the DNS (rebinding) has no effect. Redirects are not followed. `sender.py` imports this file with the first
delivery: see there.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import httpcore

from mailroom.webhooks.targets import ForbiddenTarget, is_public


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


class Poster:
    """Keeps connections to endpoints, at most `connections` in all, for five seconds after their last delivery."""

    def __init__(self, *, private: bool, connections: int) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5,
            network_backend=GuardedBackend(private=private),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Return the status of the answer, whose body is not read. Raises `ForbiddenTarget`, `OSError`."""
        try:
            async with self._pool.stream("POST", url, headers=list(headers.items()), content=body) as told:
                return told.status
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise ConnectionError("no answer that can be read") from error

    async def close(self) -> None:
        """Close the connections."""
        with suppress(RuntimeError):
            await self._pool.aclose()
