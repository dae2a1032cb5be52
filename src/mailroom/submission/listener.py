"""Listens for clients: how many at a time, with which certificate, and how the process ends."""

import asyncio
import logging
import signal
import socket
import ssl
from collections import Counter
from contextlib import suppress
from pathlib import Path

from mailroom.kit.byte_budget import Budget
from mailroom.kit.stopping import exit_after
from mailroom.ops.processes.listening import BACKLOG
from mailroom.settings import Settings
from mailroom.settings.stop_times import StopTimes
from mailroom.submission.handler import SubmissionHandler
from mailroom.submission.protocol import SubmissionProtocol

logger = logging.getLogger(__name__)

MOST_PER_ADDRESS = 50
"""Connections of one address at a time; a loopback address may use all that there are."""
LARGEST = 40 * 1000 * 1000
"""Octets of a message, as over HTTP."""
BUDGET = 60_000_000
"""Octets of messages that a process holds while they come in. Large ones are stored one at a time: only that one
is in memory up to four times (as read, as stored, as a parameter of its INSERT, and on its way to PostgreSQL)."""
RELOAD_EVERY = 10.0
"""Seconds between two looks at the certificate's file."""


class LimitedProtocol(SubmissionProtocol):
    """A connection that is counted; one too many is answered with 421 and closed."""

    listener: "Listener"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, or turn it away."""
        if self not in self.listener.open:
            peer = transport.get_extra_info("peername")
            address = str(peer[0]) if peer else ""
            if not self.listener.let_in(self, address):
                assert isinstance(transport, asyncio.WriteTransport)
                transport.write(b"421 4.7.0 Too many connections; please try again in a minute\r\n")
                transport.close()
                self._turned_away = True
                return
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Stop counting the connection."""
        self.listener.let_out(self)
        if not self._turned_away:
            super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Take input from the client, unless it was turned away."""
        if not self._turned_away:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """Note that the client has closed its side."""
        return None if self._turned_away else super().eof_received()

    _turned_away = False


class Listener:
    """The clients of one process."""

    def __init__(self, handler: SubmissionHandler, settings: Settings) -> None:
        self._handler = handler
        self._settings = settings
        self._budget = Budget(BUDGET)
        self._large = asyncio.Lock()
        self._addresses: Counter[str] = Counter()
        self.open: dict[LimitedProtocol, str] = {}
        """Each connection and the address it comes from."""
        self._certificate = Certificate(settings.submission_certificate, settings.submission_key)

    def let_in(self, connection: LimitedProtocol, address: str) -> bool:
        """Count a connection; False if there are too many."""
        most = self._settings.submission_connections
        of_address = most if address in {"127.0.0.1", "::1"} else MOST_PER_ADDRESS
        if len(self.open) >= most or self._addresses[address] >= of_address:
            return False
        self.open[connection] = address
        self._addresses[address] += 1
        return True

    def let_out(self, connection: LimitedProtocol) -> None:
        """Stop counting a connection."""
        address = self.open.pop(connection, None)
        if address is not None:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    def make(self) -> LimitedProtocol:
        """Return the protocol of a new connection."""
        protocol = LimitedProtocol(
            self._handler,
            budget=self._budget,
            large=self._large,
            limit=LARGEST,
            hostname=self._settings.ehlo_name.strip("[]"),
            tls=self._certificate.context,
        )
        protocol.listener = self
        return protocol

    async def serve(self, listening: socket.socket) -> None:
        """Serve until SIGTERM or SIGINT; messages under way get some seconds to be stored."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = await loop.create_server(self.make, sock=listening, backlog=BACKLOG)
        logger.info("SMTP submission listens on %s port %d", *listening.getsockname()[:2])
        reloading = asyncio.create_task(self._certificate.watch())
        await stop.wait()
        times = StopTimes.of(self._settings.stop_seconds)
        exit_after(times.end)
        reloading.cancel()
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(times.messages):
                while self._budget.taken:  # noqa: ASYNC110  # no event when the last one is stored
                    await asyncio.sleep(0.05)
        for connection in list(self.open):
            if connection.transport:
                connection.transport.close()
        await asyncio.sleep(0)


class Certificate:
    """The certificate for STARTTLS, read again when its file changes; without one there is no STARTTLS."""

    def __init__(self, certificate: Path | None, key: Path | None) -> None:
        self._certificate, self._key = certificate, key
        self._read_at: tuple[float, ...] = ()
        self.context: ssl.SSLContext | None = None
        self._read()

    def _read(self) -> None:
        if self._certificate is None:
            return
        files = [self._certificate, *([self._key] if self._key else [])]
        read_at = tuple(file.stat().st_mtime for file in files)
        if read_at == self._read_at:
            return
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._certificate, self._key)
        if self._read_at:
            logger.info("the certificate of SMTP submission was read anew")
        self.context, self._read_at = context, read_at

    async def watch(self) -> None:
        """Read the certificate again whenever its file changes; if it cannot be read, the old one stays."""
        while True:
            await asyncio.sleep(RELOAD_EVERY)
            try:
                self._read()
            except (OSError, ssl.SSLError) as error:
                logger.warning("the new certificate of SMTP submission cannot be read: %s", type(error).__name__)
