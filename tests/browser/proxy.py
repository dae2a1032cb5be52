"""An HTTP proxy as some offices have: slow, or one that refuses websockets."""

import asyncio
from urllib.parse import urlsplit

from tests.tcp_server import TcpServer


class Proxy(TcpServer):
    """Use as a context manager; `url` is for the browser's settings. `refused` counts the websockets refused."""

    def __init__(self, *, websockets: bool, slow: str = "", seconds: float = 0) -> None:
        """`seconds` is how long an answer is held back where its request begins with `slow`: "POST /sign-in"."""
        self._websockets, self._slow, self._seconds = websockets, slow, seconds
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._pass_on(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
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
