"""What TCP servers of the tests share: an event loop on a thread of their own."""

import asyncio
import contextlib
import threading
from typing import Self


class TcpServer:
    """Use as a context manager. `serve` is called in the server's loop for each connection."""

    port: int = 0
    """The port of 127.0.0.1; 0 until it listens, unless one is wanted."""
    longest_line = 2**16
    """Bytes that a reader holds at most."""
    _thread: threading.Thread | None = None
    _loop: asyncio.AbstractEventLoop

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def listening(self) -> bool:
        """Whether the port is open."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Listen (again), on the same port as before."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(5)

    def stop(self) -> None:
        """Stop listening and hang up on everyone: the port then refuses."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread:
            self._thread.join(5)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        raise NotImplementedError

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=self.longest_line)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stopping.wait()
        server.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        try:
            await self.serve(reader, writer)
        finally:
            self._serving.discard(task)
