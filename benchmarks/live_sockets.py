"""Browsers, as far as the wire goes: thousands of websockets in one process, told what to do line by line.

As lean as can be, so that the client takes as little as possible of the two cores: frames are read by hand.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import uvloop


class Socket(asyncio.Protocol):
    """One websocket (RFC 6455): texts in, masked texts out, pings answered."""

    def __init__(self, crowd: "SocketSet", secret: str) -> None:
        self.crowd, self.secret = crowd, secret
        self.data = b""
        self.open = False
        self.tasks: set[str] = set()
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.transport.write(
            f"GET /live HTTP/1.1\r\nHost: {self.crowd.host}\r\nOrigin: http://{self.crowd.host}\r\n"
            f"Cookie: mailroom={self.secret}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"  # as browsers ask
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    def connection_lost(self, _error: Exception | None) -> None:
        self.gone.set()
        self.crowd.lost += self.open
        if not self.opened.done():
            self.opened.set_result(False)

    def data_received(self, data: bytes) -> None:
        self.data += data
        if not self.open:
            head, found, rest = self.data.partition(b"\r\n\r\n")
            if not found:
                return
            self.open, self.data = b" 101 " in head.split(b"\r\n")[0], rest
            if not self.opened.done():
                self.opened.set_result(self.open)
        while len(self.data) >= 2:
            length, start = self.data[1] & 127, 2
            if length == 126:
                length, start = int.from_bytes(self.data[2:4]), 4
            if len(self.data) < start + length:
                return
            kind, body = self.data[0] & 15, self.data[start : start + length]
            self.data = self.data[start + length :]
            if kind == 1:
                self.crowd.heard(self, body)
            elif kind in {8, 9}:
                self.frame(8 if kind == 8 else 10, body)

    def frame(self, kind: int, body: bytes) -> None:
        size = bytes([128 | len(body)]) if len(body) < 126 else bytes([254]) + len(body).to_bytes(2)
        self.transport.write(bytes([128 | kind]) + size + b"\0\0\0\0" + body)

    def say(self, message: dict[str, Any]) -> None:
        self.frame(1, json.dumps(message).encode())

    async def close(self) -> None:
        self.open = False
        if not self.gone.is_set():
            self.frame(8, b"\x03\xe8")
            await self.gone.wait()


class SocketSet:
    """All sockets of this process."""

    def __init__(self, port: int, secrets: Sequence[str]) -> None:
        self.port, self.host, self.secrets = port, f"localhost:{port}", secrets
        self.sockets: list[Socket] = []
        self.lags: list[float] = []
        self.since = float("inf")
        self.messages = self.lost = 0

    def heard(self, socket: Socket, body: bytes) -> None:
        now = time.time()
        told = json.loads(body)
        self.messages += 1
        socket.tasks.discard(told["task"])
        said = told.get("message", "")
        if said[:1].isdigit() and float(said) > self.since:
            self.lags.append(now - float(said))

    async def open_one(self, secret: str) -> Socket | None:
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(lambda: Socket(self, secret), "127.0.0.1", self.port)
        return socket if await socket.opened else None

    async def open(self, count: int) -> dict[str, Any]:
        """Have `count` sockets open, a few at a time, each with a session of its own."""
        began = time.monotonic()
        while len(self.sockets) < count:
            some = self.secrets[len(self.sockets) : min(count, len(self.sockets) + 100)]
            made = [socket for socket in await asyncio.gather(*map(self.open_one, some)) if socket]
            assert len(made) == len(some), f"{len(some) - len(made)} of {len(some)} handshakes refused"
            self.sockets += made
        return {"open": len(self.sockets), "seconds": time.monotonic() - began}

    async def watch(self, shares: list[list[str]]) -> dict[str, Any]:
        """Have socket n watch the tasks of share n, and wait for a snapshot of each."""
        began = time.monotonic()
        for socket, share in zip(self.sockets, shares, strict=True):
            socket.tasks = set(share)
            socket.say({"watch": share})
            if len(self.sockets) > 500:
                await asyncio.sleep(0.001)
        while any(socket.tasks for socket in self.sockets):
            assert time.monotonic() < began + 90, "no snapshot for some in 90 s"
            await asyncio.sleep(0.05)
        return {"seconds": time.monotonic() - began}

    async def unwatch(self, shares: list[list[str]]) -> dict[str, Any]:
        for socket, share in zip(self.sockets, shares, strict=True):
            socket.say({"unwatch": share})
        await asyncio.sleep(1)
        return {}

    async def collect(self, seconds: float) -> dict[str, Any]:
        """Listen; return how old each report was when it came, in seconds."""
        self.lags, self.messages, self.since = [], 0, time.time()
        await asyncio.sleep(seconds)
        self.since = float("inf")
        return {"lags": self.lags, "messages": self.messages, "lost": self.lost}

    async def close(self) -> dict[str, Any]:
        closing, self.sockets = self.sockets, []
        await asyncio.gather(*(socket.close() for socket in closing))
        return {"lost": self.lost}


async def main(port: int, secrets: Sequence[str]) -> None:
    crowd, loop = SocketSet(port, secrets), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order, argument = json.loads(line)
        used = time.process_time()
        answer = await getattr(crowd, order)(*argument)
        answer["cpu"] = time.process_time() - used
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with open(sys.argv[2]) as file:  # noqa: PTH123
        known = file.read().split()
    uvloop.run(main(int(sys.argv[1]), known))
    os._exit(0)  # whatever is open ends with us
