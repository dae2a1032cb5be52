"""A TCP proxy that can go silent: it swallows bytes in one direction or both, while new connections work.

Stateful firewalls and load balancers do this to connections they have forgotten. TCP stays alive and acknowledges
all that is sent, so only a program's own time limits can notice. Works for any TCP protocol:

    with SilentProxy("127.0.0.1", server_port) as proxy:
        ...                                    # connect to proxy.port
        proxy.silence()                        # the connections that are open now are dead in both directions
        proxy.silence(Direction.TO_CLIENT)     # requests arrive, answers do not
        proxy.silence_after(b"MAIL FROM", Direction.TO_SERVER, times=1)
        proxy.silence_new = {Direction.TO_CLIENT}   # connections made from now on, too
"""

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from enum import Enum

from tests.tcp_server import TcpServer

CHUNK = 65_536


class Direction(Enum):
    """Which bytes get lost."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


BOTH = (Direction.TO_SERVER, Direction.TO_CLIENT)


@dataclass
class Trigger:
    """Silences a connection as soon as its client has sent `words`; TO_SERVER swallows the words, too."""

    words: bytes
    directions: tuple[Direction, ...]
    times: int | None


@dataclass(eq=False)
class _Link:
    """One connection and its two halves."""

    writers: list[asyncio.StreamWriter]
    silent: set[Direction]
    tail: bytes = b""
    swallowed: int = 0


@dataclass
class SilentProxy(TcpServer):
    """The proxy. Use as a context manager; it runs on a thread of its own. All methods work from any thread."""

    host: str
    server_port: int
    port: int = 0
    silence_new: set[Direction] = field(default_factory=set)
    """Directions in which connections made from now on are silent."""
    refuse_new: bool = False
    """Whether connections made from now on are closed at once."""
    connections: int = 0
    """Connections made so far."""
    swallowed: int = 0
    """Bytes swallowed so far."""
    _triggers: list[Trigger] = field(default_factory=list)
    _links: set[_Link] = field(default_factory=set)

    @property
    def open_now(self) -> int:
        """Connections that neither side has closed, as far as the proxy lets it through."""
        return len(self._links)

    @property
    def silent_now(self) -> int:
        """Connections that are open and silent."""
        return sum(bool(link.silent) for link in list(self._links))

    def silence(self, *directions: Direction) -> int:
        """Silence the connections that are open now, in both directions unless told; return how many."""
        links = list(self._links)
        for link in links:
            link.silent |= set(directions or BOTH)
        return len(links)

    def silence_after(self, words: bytes, *directions: Direction, times: int | None = None) -> Trigger:
        """Silence each connection whose client sends `words`, `times` at most; return the trigger."""
        trigger = Trigger(words, directions or BOTH, times)
        self._triggers.append(trigger)
        return trigger

    def mend(self) -> None:
        """Silence nothing more; what is silent stays so, since its bytes are lost."""
        self._triggers.clear()
        self.silence_new = set()
        self.refuse_new = False

    def reset(self) -> None:
        """End every open connection with a TCP reset, as load balancers do to idle ones."""

        def abort() -> None:
            for link in list(self._links):
                for writer in link.writers:
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()

        self._loop.call_soon_threadsafe(abort)

    # -- in the proxy's loop

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link([writer], set(self.silence_new))
        try:
            if self.refuse_new:
                return
            self.connections += 1
            from_server, to_server = await asyncio.open_connection(self.host, self.server_port)
            link.writers.append(to_server)
            self._links.add(link)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(link, reader, to_server, Direction.TO_SERVER))
                group.create_task(self._pass_on(link, from_server, writer, Direction.TO_CLIENT))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            for each in link.writers:
                each.transport.abort()

    async def _pass_on(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        while data := await reader.read(CHUNK):
            if direction is Direction.TO_SERVER:
                link.silent |= self._triggered(link, data)
            if direction in link.silent:
                self.swallowed += len(data)
                continue
            writer.write(data)
            await writer.drain()
        if direction not in link.silent:  # the end gets lost like anything else
            writer.close()

    def _triggered(self, link: _Link, data: bytes) -> set[Direction]:
        seen, link.tail = link.tail + data, (link.tail + data)[-64:]
        for trigger in self._triggers:
            if trigger.times != 0 and trigger.words in seen:
                if trigger.times is not None:
                    trigger.times -= 1
                link.tail = b""
                return set(trigger.directions)
        return set()
