"""Peers of plain HTTP that take nothing, take little, or are too many: none of them is held for long."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest
from hypercorn.config import Config
from quart import Quart, Response

from mailroom.web.server import connection, connections
from mailroom.web.server.connections import Connections
from mailroom.web.static_files import serve_static

GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
CSS = GET % b"/static/mailroom.css"
LARGE = 8 * 1024 * 1024


class Server:
    def __init__(self, **limits: int) -> None:
        app = Quart(__name__, static_folder=None)
        serve_static(app)

        @app.get("/large")
        async def large() -> Response:
            return Response(b"x" * LARGE)

        @app.get("/endless")
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65536

        self.connections = Connections(app, Config(), **limits)

    async def start(self) -> None:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        self.port = listening.getsockname()[1]
        await self.connections.listen(listening)

    @contextmanager
    def deaf(self, sent: bytes) -> Iterator[socket.socket]:
        """A peer that sends this and reads nothing."""
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.setblocking(True)
            peer.connect(("127.0.0.1", self.port))
            peer.setblocking(False)
            with suppress(BlockingIOError):
                peer.send(sent)
            yield peer

    async def until(self, count: int, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while len(self.connections) > count:
                await asyncio.sleep(0.02)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """Times in twentieths of what they are."""
    monkeypatch.setattr(connection, "STALLED_FOR", 1.0)
    monkeypatch.setattr(connection, "LINGER", 0.3)
    monkeypatch.setattr(connections, "TEND_EVERY", 0.05)
    server = Server()
    await server.start()
    yield server
    await server.connections.close(sockets=1, requests=1, cut=1.5)


@pytest.mark.parametrize(
    "sent",
    [CSS * 200, GET % b"/large", GET % b"/endless", GET % b"/large" + CSS * 20, b"GET / HTTP/1.1\r\nHo"],
    ids=["pipelined", "large", "endless", "large, pipelined", "half a request"],
)
async def test_a_peer_that_reads_nothing_is_let_go(server: Server, sent: bytes) -> None:
    files = psutil.Process().num_fds()
    with server.deaf(sent), server.deaf(sent), server.deaf(sent):
        await asyncio.sleep(0.2)
        assert len(server.connections) == 3
        await server.until(0, 8)
    assert psutil.Process().num_fds() <= files


async def test_a_peer_that_reads_slowly_but_steadily_gets_everything(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=4096)
    writer.write(GET % b"/large")
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(16):
        await reader.readexactly(LARGE // 16)
        await asyncio.sleep(0.2)  # three seconds in all: three times as long as a peer may take nothing
    writer.close()


async def test_a_client_that_is_idle_between_requests_keeps_its_connection(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for _ in range(2):
        writer.write(CSS)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
        await asyncio.sleep(2)  # twice as long as a peer may take nothing, but nothing waits for it
    writer.close()


@pytest.mark.parametrize(("limits", "answer"), [({"per_address": 3}, b" 429 "), ({"most": 3}, b" 503 ")])
async def test_a_connection_too_many_is_told_so_and_leaves_the_others_alone(
    limits: dict[str, int], answer: bytes
) -> None:
    server = Server(**limits)
    await server.start()
    kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
    await asyncio.sleep(0.05)
    for _ in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        told = await reader.read()
        assert answer in told and b"Retry-After" in told
        writer.close()
    for reader, writer in kept:
        writer.write(CSS)
        assert b" 200 " in await reader.readline()
        writer.close()
    await server.until(0, 5)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(CSS)
    assert b" 200 " in await reader.readline(), "there is room again"
    writer.close()
    await server.connections.close(sockets=1, requests=1, cut=1.5)
