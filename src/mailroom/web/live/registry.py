"""The open websockets of one web process: counted, limited, and closed together."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar
from uuid import UUID

from mailroom.web.live.socket import RESTARTING, LiveSocket

Key = TypeVar("Key")

FILES_FOR_PAGES = 256
"""Open files kept free for requests and servers: websockets may not take all that the system allows."""


class Closable(Protocol):
    """A socket, as far as the registry needs to know it."""

    def close(self, code: int, reason: str) -> None:
        """Have it closed with this code."""


class Full(Exception):
    """No place for one more socket. The message is for whoever asked."""

    def __init__(self, message: str, *, everywhere: bool = False) -> None:
        super().__init__(message)
        self.everywhere = everywhere
        """True if the process is full or ends, False if only this client has too many."""


class SocketRegistry:
    """All sockets of this process. If there are several processes, each counts its own."""

    def __init__(self, *, per_session: int, per_address: int) -> None:
        self.sockets: set[LiveSocket] = set()
        self._embedded: set[Closable] = set()
        self._per_session, self._per_address = per_session, per_address
        self._sessions: Counter[UUID] = Counter()
        self._addresses: Counter[str] = Counter()
        self._most = _most_sockets()
        self._closing = False

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Keep a place for a client of this address.

        Raises `Full` where this client, or all clients together, have too many.
        """
        if self._closing or self._addresses.total() >= self._most:
            raise Full("No place for one more websocket here; try again soon.", everywhere=True)
        if self._addresses[address] >= self._per_address:
            raise Full("Too many websockets from this address.")
        with _counted(self._addresses, address):
            yield

    @contextmanager
    def counted(self, socket: LiveSocket) -> Iterator[None]:
        """Count a socket while the block runs. Raises `Full` where its session has too many."""
        if self._sessions[socket.session_id] >= self._per_session:
            raise Full("Too many websockets of this browser.")
        with _counted(self._sessions, socket.session_id):
            self.sockets.add(socket)
            try:
                yield
            finally:
                self.sockets.discard(socket)

    @contextmanager
    def embedded(self, socket: Closable) -> Iterator[None]:
        """Register a socket of another program's page during the block, so that it is closed with the others."""
        self._embedded.add(socket)
        try:
            yield
        finally:
            self._embedded.discard(socket)

    def close_all(self) -> None:
        """Tell every client to come back: this process is about to end."""
        self._closing = True
        for socket in (*self.sockets, *self._embedded):
            socket.close(RESTARTING, "restarting")


@contextmanager
def _counted(counter: Counter[Key], key: Key) -> Iterator[None]:
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


def _most_sockets() -> int:
    try:
        import resource
    except ImportError:  # not on Windows
        return 10_000
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else max(soft - FILES_FOR_PAGES, soft // 2)
