"""An HTTP proxy as some offices have: slow, or one that refuses websockets."""

import asyncio
import threading
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Use as a context manager; `url` is for the browser's settings. `refused` counts the websockets refused."""

    def __init__(self, *, websockets: bool, slow: str = "", seconds: float = 0) -> None:
        """`seconds` is how long an answer is held back where its request begins with `slow`: "POST /sign-in"."""
        self._websockets, self._slow, self._seconds = websockets, slow, seconds
        self.refused = 0

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(5)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._passing: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await self._stopping.wait()
        server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._passing.add(task)
        try:
            await self._pass_on(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._passing.discard(task)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.partition("\r\n")[0].split(" ", 2)
        if method == "CONNECT":  # how browsers ask a proxy for a websocket
            if self._websockets:
                return await self._tunnel(target, reader, writer)
            self.refused += 1
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return None
        url = urlsplit(target)
        path = url._replace(scheme="", netloc="").geturl() or "/"
        kept = [line for line in head.split("\r\n")[1:-2] if "connection:" not in line.lower()]
        upstream, out = await asyncio.open_connection(url.hostname, url.port)
        try:
            # One request a connection: the answer ends with it.
            out.write(
                "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]).encode("latin-1")
            )
            length = next((int(line[15:]) for line in kept if line.lower().startswith("content-length:")), 0)
            if length:
                out.write(await reader.readexactly(length))
            first = await upstream.read(65536)
            if self._slow and f"{method} {path}".startswith(self._slow):
                await asyncio.sleep(self._seconds)
            writer.write(first)
            await copy(upstream, writer)
        finally:
            out.close()

    async def _tunnel(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = target.rpartition(":")
        upstream, out = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ways = [asyncio.create_task(copy(*way)) for way in ((reader, out), (upstream, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            out.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on everything until the end."""
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
