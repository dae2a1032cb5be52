"""A watcher that is slower than the news: it is told the newest only, let go with a reason, and may come back.

And one whose ticket is somebody else's before its first news is there.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from uuid import UUID

import pytest
from hypercorn.config import Config
from quart import Quart, websocket

from mailroom.accounts.views import AccountView, Session
from mailroom.kit import clock
from mailroom.kit.ids import new_id
from mailroom.progress.snapshot import Snapshot
from mailroom.progress.subscription import Subscription
from mailroom.tasks.tickets import TicketOwner
from mailroom.web.live import socket as live_socket
from mailroom.web.live.socket import LiveSocket
from mailroom.web.server import websocket_stream as stream
from mailroom.web.server.connections import Connections
from tests.integration.web.test_connections import HANDSHAKE

TASKS = 20
LONG = "news " * 2_000
TICKETS = [new_id() for _ in range(TASKS)]


def session_of(*, operator: bool = False) -> Session:
    account = AccountView(new_id(), "olga@example.org", "operator", clock.now()) if operator else None
    return Session(new_id(), account, clock.now(), "a browser", clock.now())


class Flood:
    """What a socket listens to: more news than any client of this test takes."""

    def __init__(self) -> None:
        self.subscriptions: set[Subscription] = set()
        self.told = 0
        self.most = 0

    def remove(self, _subscription: Subscription, _task: str) -> None:
        """Nothing is really watched."""

    async def pour(self) -> None:
        while True:
            self.told += 1
            for subscription in self.subscriptions:
                subscription.push(Snapshot(TICKETS[self.told % TASKS], "running", message=f"{self.told} {LONG}"))
                self.most = max(self.most, subscription.waiting)
            await asyncio.sleep(0.0005)


class Server:
    def __init__(self) -> None:
        self.flood = Flood()
        self.reasons: list[tuple[int, str] | None] = []
        app = Quart(__name__)

        @app.websocket("/live")
        async def live() -> None:
            subscription = Subscription(self.flood)  # type: ignore[arg-type]
            served = LiveSocket(session_of(operator=True), subscription, None)  # type: ignore[arg-type]
            self.flood.subscriptions.add(subscription)
            try:
                await websocket.accept()
                with suppress(asyncio.CancelledError):
                    await served.run()
            finally:
                self.flood.subscriptions.discard(subscription)
                self.reasons.append(served._end)

        self.connections = Connections(app, Config())

    async def start(self) -> None:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        self.port = listening.getsockname()[1]
        await self.connections.listen(listening)
        self.pouring = asyncio.create_task(self.flood.pour())

    async def client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        mine = socket.socket()
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)  # before connecting, or it does not count
        mine.setblocking(False)
        await asyncio.get_running_loop().sock_connect(mine, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=mine, limit=8192)
        writer.write(HANDSHAKE.replace(b"/echo", b"/live"))
        assert b"101" in await reader.readline()
        return reader, writer


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(live_socket, "SEND_WITHIN", 0.3)
    monkeypatch.setattr(stream, "CLOSE_WITHIN", 10.0)
    server = Server()
    await server.start()
    yield server
    server.pouring.cancel()
    await server.connections.close(sockets=0.5, requests=1, cut=1.5)


async def test_a_client_that_does_not_keep_up_is_let_go_with_a_reason_and_may_come_back(server: Server) -> None:
    reader, writer = await server.client()
    async with asyncio.timeout(20):
        while not server.reasons:  # it reads nothing
            await asyncio.sleep(0.05)
    assert server.reasons == [(1013, "too slow")]
    assert server.flood.most <= TASKS < server.flood.told  # for each task the newest only
    async with asyncio.timeout(10):
        received = b""
        while b"\x88\x0a\x03\xf5too slow" not in received:
            news = await reader.read(8192)
            assert news, received[-100:]
            received = received[-100:] + news
    writer.transport.abort()
    again, writer = await server.client()
    assert await asyncio.wait_for(again.read(100), 5)
    writer.transport.abort()
    await asyncio.sleep(0.05)


class Slow:
    """What a socket listens to: it takes until `found` to find out where a task is."""

    def __init__(self) -> None:
        self.asked, self.found = asyncio.Event(), asyncio.Event()

    async def add(self, subscription: Subscription, tasks: Sequence[UUID]) -> None:
        self.asked.set()
        await self.found.wait()
        for task in tasks:
            subscription.tasks.add(task)
            subscription.push(Snapshot(task, "running"))

    def remove(self, subscription: Subscription, task: UUID) -> None:
        subscription.tasks.discard(task)


@pytest.mark.parametrize("end", ["lost", "unwatched"])
async def test_a_ticket_lost_while_it_is_looked_for_is_unknown_and_one_unwatched_is_nothing(end: str) -> None:
    alice, ticket, slow = session_of(), new_id(), Slow()

    async def holders(ids: Sequence[UUID]) -> dict[UUID, TicketOwner]:
        return dict.fromkeys(ids, TicketOwner(alice.id, None))

    subscription = Subscription(slow)  # type: ignore[arg-type]
    served = LiveSocket(alice, subscription, holders)  # type: ignore[arg-type]
    served._hear(json.dumps({"watch": [str(ticket)]}))
    await slow.asked.wait()
    if end == "lost":
        served.lose(ticket)
    else:
        served._hear(json.dumps({"unwatch": [str(ticket)]}))
    slow.found.set()
    assert served._asking
    await served._asking
    subscription.close()
    told = [(snapshot.task, snapshot.state, snapshot.final) async for snapshot in subscription]
    assert told == ([(str(ticket), "unknown", True)] if end == "lost" else [])
    assert not subscription.tasks
