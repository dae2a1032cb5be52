"""Websockets under our own ends: whoever is silent, deaf or hostile is let go; whoever is only quiet is not."""

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from hypercorn.config import Config
from quart import Quart, websocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from mailroom.web.server import connection, connections
from mailroom.web.server import websocket_stream as stream
from mailroom.web.server.connection import Connection
from mailroom.web.server.connections import Connections

HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Server:
    def __init__(self) -> None:
        self.open = 0
        self.flood = asyncio.Event()
        app = Quart(__name__)

        @app.websocket("/echo")
        async def echo() -> None:
            await websocket.accept()
            self.open += 1
            try:
                while True:
                    await websocket.send(await websocket.receive())
            finally:
                self.open -= 1

        @app.websocket("/flood")
        async def flood() -> None:
            await websocket.accept()
            self.open += 1
            try:
                while True:
                    await websocket.send("x" * 10_000)
            finally:
                self.open -= 1

        @app.websocket("/over")
        async def over() -> None:
            await websocket.accept()
            await websocket.close(4401, "over")

        config = Config()
        config.websocket_max_message_size = 1000
        self.connections = Connections(app, config)

    async def start(self) -> None:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        self.port = listening.getsockname()[1]
        await self.connections.listen(listening)

    def connect(self, path: str = "/echo", **options: object) -> connect:
        return connect(f"ws://127.0.0.1:{self.port}{path}", **options)  # type: ignore[arg-type]

    @asynccontextmanager
    async def raw(
        self, path: str, more: bytes = b"", *, early: bytes = b"", limit: int = 65536
    ) -> AsyncIterator[asyncio.StreamReader]:
        """A peer that does nothing of its own accord; what it has to say, `more`, it says after the handshake."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        writer.write(HANDSHAKE.replace(b"/echo", path.encode()) + early)
        if more:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(more)
        try:
            yield reader
        finally:
            writer.transport.abort()
            await asyncio.sleep(0.01)

    async def somebody(self) -> None:
        async with asyncio.timeout(3):
            while not self.open:
                await asyncio.sleep(0.02)

    async def empty(self, seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while self.open or len(self.connections):
                await asyncio.sleep(0.02)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """Times in tenths of what they are: a minute of silence is not worth waiting for."""
    monkeypatch.setattr(stream, "PING_EVERY", 0.2)
    monkeypatch.setattr(stream, "SILENT_FOR", 1.0)
    monkeypatch.setattr(stream, "CLOSE_WITHIN", 0.3)
    monkeypatch.setattr(connections, "TEND_EVERY", 0.05)
    monkeypatch.setattr(connection, "LINGER", 0.3)
    server = Server()
    await server.start()
    yield server
    await server.connections.close(sockets=1, requests=1, cut=1.5)


async def closed(client: ClientConnection) -> tuple[int | None, str | None]:
    try:
        while True:
            await asyncio.wait_for(client.recv(), 5)
    except ConnectionClosed:
        return client.close_code, client.close_reason


def test_all_of_it_happens_within_a_minute() -> None:
    assert stream.PING_EVERY * 2 < stream.SILENT_FOR
    assert stream.SILENT_FOR + connections.TEND_EVERY + connection.LINGER < 60


async def test_a_peer_that_answers_no_ping_is_let_go(server: Server) -> None:
    async with server.raw("/echo") as reader:
        assert b"101" in await reader.readline()
        began = asyncio.get_running_loop().time()
        while await reader.read(1000):
            pass  # reads pings, answers none
        assert asyncio.get_running_loop().time() - began > 0.5
        await server.empty()


async def test_a_peer_that_only_listens_and_answers_pings_stays(server: Server) -> None:
    async with server.connect(ping_interval=None) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        await asyncio.sleep(2)  # twice as long as a silent one has
        await client.send("still here")
        assert await client.recv() == "still here"


async def test_a_peer_that_takes_nothing_and_says_nothing_is_let_go(server: Server) -> None:
    async with server.raw("/flood", limit=1):
        await server.somebody()
        await server.empty()  # though its application still waits to send


async def test_a_close_that_is_not_answered_ends_all_the_same(server: Server) -> None:
    async with server.raw("/over") as reader:
        assert (await asyncio.wait_for(reader.read(), 3)).endswith(b"\x88\x06\x11\x31over")
        await server.empty()


async def test_a_close_reaches_a_peer_that_is_still_talking(server: Server) -> None:
    async with server.connect("/over") as client:
        with suppress(ConnectionClosed):
            for _ in range(2000):
                await client.send("x" * 900)
        assert await closed(client) == (4401, "over")


async def test_compression_is_not_offered(server: Server) -> None:
    async with server.connect(compression="deflate") as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers


@pytest.mark.parametrize(
    ("message", "code"), [("x" * 1001, 1009), (["x" * 600, "x" * 600], 1009), (b"\x00\x01", 1003)]
)
async def test_what_is_too_long_or_binary_is_closed_by_its_code(
    server: Server, message: str | bytes | list[str], code: int
) -> None:
    async with server.connect() as client:
        await client.send(message)
        assert (await closed(client))[0] == code
    await server.empty()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007),  # text that is no UTF-8
        (b"\x81\x02hi", 1002),  # not masked
        (b"\xf1\x82\x00\x00\x00\x00hi", 1002),  # bits that mean nothing
        (b"\x89\x7e\x00\x80", 1002),  # a ping of 128 bytes
    ],
)
async def test_what_is_no_websocket_frame_is_closed_by_its_code(server: Server, frame: bytes, code: int) -> None:
    async with server.raw("/echo", frame) as reader:
        answer = await asyncio.wait_for(reader.read(), 5)
    while answer[:1] == b"\x89":  # pings
        answer = answer[2 + answer[1] :]
    assert answer[:1] == b"\x88" and int.from_bytes(answer[2:4]) == code, answer
    await server.empty()


async def test_a_frame_before_the_handshake_is_answered_is_refused(server: Server) -> None:
    async with server.raw("/echo", early=b"\x81\x82\x00\x00\x00\x00hi") as reader:
        assert b"400" in await reader.readline()
        await asyncio.wait_for(reader.read(), 5)
        await server.empty()


async def test_a_connection_that_is_over_is_freed_without_the_garbage_collector(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: weakref.WeakSet[Connection] = weakref.WeakSet()

    class Noted(Connection):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            made.add(self)

    monkeypatch.setattr(connections, "Connection", Noted)
    gc.disable()
    try:
        async with server.connect() as client:
            await client.send("hello")
            await client.recv()
            assert len(made) == 1
        async with server.raw("/echo") as reader:
            assert b"101" in await reader.readline()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"404" in await reader.read()
        writer.close()
        await server.empty()
        async with asyncio.timeout(3):
            while made:
                await asyncio.sleep(0.02)
    finally:
        gc.enable()


async def test_the_end_of_the_process_is_not_held_up(server: Server) -> None:
    async with server.raw("/flood", limit=1):
        await server.somebody()
        async with asyncio.timeout(2):
            assert await server.connections.close(sockets=0.2, requests=0.2, cut=0.3) is False
        assert not server.open
