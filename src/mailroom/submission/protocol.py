"""One SMTP connection: aiosmtpd's protocol, with what it lacks for submission (RFC 6409).

What is overridden here, and why; tests/unit/submission/test_protocol.py names each of them:

- `push`: every reply gets an enhanced status code (RFC 2034), which aiosmtpd gives to a few only.
- `smtp_EHLO`, `smtp_HELO`: their replies are those that have no enhanced code.
- `_getaddr`: aiosmtpd reads an address of MAIL and RCPT with the parser of the standard library, and makes a class
  each time: a tenth of what a mail costs. What most clients send is parsed here.
- `smtp_DATA`, and the reader's `_buffer`: aiosmtpd reads line by line, at about a millisecond for a mail of 3 KB;
  here the reader looks for the final dot itself. Octets are counted against the process' budget as they come.
- `connection_made`: AUTH without TLS is for loopback only, which differs by connection.

At an upgrade of aiosmtpd: run that test; compare `SMTP.smtp_DATA` with ours.
"""

import asyncio
import re
import ssl
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope

from mailroom.kit.byte_budget import Budget, Share, TooMuch
from mailroom.mail.messages.addresses import LONGEST_LOCAL
from mailroom.submission.enhanced_codes import with_code

END = b"\r\n.\r\n"
USUAL_PATH = re.compile(r"<([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9.-]+)>(?= |$)")
LONGEST_PATH = 254
LARGE = 2_000_000
"""Octets from which messages are stored one after the other, so that only one is in memory several times."""
TIMEOUT = 60.0
"""Seconds a client may be silent between two commands; RFC 5321 §4.5.3.2.7 asks for 300 of relays."""
DATA_SECONDS = 600.0
"""Seconds a client may take for one message."""
MOST_COMMANDS = {"*": 100, "RCPT": 100_000, "MAIL": 100_000, "DATA": 100_000, "RSET": 100_000, "AUTH": 4}
"""Commands of each kind in one connection; then it is closed."""


class SubmissionProtocol(SMTP):
    """A client that submits messages."""

    def __init__(
        self,
        handler: Any,
        *,
        budget: Budget,
        large: asyncio.Lock,
        limit: int,
        hostname: str,
        tls: ssl.SSLContext | None,
    ) -> None:
        """`limit` is the most octets of a message, told as SIZE (RFC 1870), too. `large` is for large ones."""
        super().__init__(
            handler,
            data_size_limit=limit,
            enable_SMTPUTF8=True,
            hostname=hostname,
            ident="ESMTP Mailroom",
            tls_context=tls,
            auth_required=True,
            auth_require_tls=True,
            timeout=TIMEOUT,
            command_call_limit=MOST_COMMANDS,
            loop=asyncio.get_running_loop(),
        )
        self._budget, self._large, self._limit = budget, large, limit
        self._without_codes = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or begin anew after STARTTLS."""
        peer = transport.get_extra_info("peername")
        self._auth_require_tls = not (peer and _is_loopback(str(peer[0])))
        super().connection_made(transport)

    async def push(self, status: str | bytes) -> None:
        """Send a reply line."""
        line = status.encode("utf-8") if isinstance(status, str) else status
        await super().push(line if self._without_codes else with_code(line))

    async def smtp_EHLO(self, hostname: str) -> None:
        """Greet back, and tell what this server can."""
        self._without_codes = True
        try:
            await super().smtp_EHLO(hostname)
        finally:
            self._without_codes = False

    async def smtp_HELO(self, hostname: str) -> None:
        """Greet back."""
        self._without_codes = True
        try:
            await super().smtp_HELO(hostname)
        finally:
            self._without_codes = False

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Return the address of a path (RFC 5321 §4.1.2), and the parameters behind it."""
        usual = USUAL_PATH.match(arg)
        if usual and len(usual[1]) <= LONGEST_PATH and usual[1].index("@") <= LONGEST_LOCAL:
            return usual[1], arg[usual.end() :]
        return super()._getaddr(arg)

    async def smtp_DATA(self, arg: str) -> None:
        """Take a message, and answer once it is stored."""
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        envelope = self.envelope
        assert envelope is not None
        if not envelope.rcpt_tos:
            await self.push("503 5.5.1 No recipient was taken; send RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no parameter")
            return
        await self.push(b"354 End data with <CR><LF>.<CR><LF>")
        with self._budget.share() as share:
            try:
                async with asyncio.timeout(DATA_SECONDS):
                    reply = await self._take_message(envelope, share)
            except TimeoutError:
                self._writer.close()
                return
        self._set_rset_state()  # type: ignore[no-untyped-call]
        await self.push(reply)

    async def _take_message(self, envelope: Envelope, share: Share) -> str:
        """Read a message to its final dot, hand it to the handler, and return the reply."""
        buffer: bytearray = self._reader._buffer  # type: ignore[attr-defined]
        buffer[:0] = b"\r\n"  # the CRLF of DATA itself, which the dot of an empty message follows
        pieces: list[bytes] = []
        refusal, ended = "", False
        while not ended:
            self._reset_timeout()
            try:
                piece = await self._reader.readuntil(END)
                ended = True
            except asyncio.LimitOverrunError as error:
                piece = await self._reader.readexactly(error.consumed)
            try:
                share.take(len(piece))
            except TooMuch:
                refusal = refusal or "451 4.3.1 The server has too much in hand. Please try again in a minute"
            if share.taken > self._limit + len(END):
                refusal = f"552 5.3.4 A message has at most {self._limit} octets"
            if refusal:  # a refused message is read to its end, and not kept
                pieces.clear()
                share.give_back()
            else:
                pieces.append(piece)
        if refusal:
            return refusal
        self._reset_timeout(DATA_SECONDS)  # from here on the client waits for us
        if share.taken < LARGE:
            return await self._store(envelope, pieces)
        async with self._large:
            return await self._store(envelope, pieces)

    async def _store(self, envelope: Envelope, pieces: list[bytes]) -> str:
        """Join the pieces, undo dot-stuffing (RFC 5321 §4.5.2), hand over to the handler, and return the reply."""
        whole = b"".join(pieces)
        pieces.clear()
        envelope.content = whole.replace(b"\r\n.", b"\r\n")[2:-2] if b"\r\n." in whole[:-3] else whole[2:-3]
        del whole
        reply: str = await self._call_handler_hook("DATA")
        return reply


def _is_loopback(address: str) -> bool:
    with suppress(ValueError):
        return ip_address(address.partition("%")[0]).is_loopback
    return False
