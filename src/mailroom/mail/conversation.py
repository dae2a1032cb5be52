"""Commands and replies on an open connection to a mail server: one command, one reply (RFC 5321 §4.2).

aiosmtplib opens, greets, secures and signs in. From there on each mail is four commands, and what it does for
each of them (a task's timeout, a lock, a parser for every case) costs more than all else that is done for a mail.
"""

import asyncio
import re
from typing import NamedTuple, cast

from aiosmtplib import SMTPReadTimeoutError, SMTPResponseException, SMTPServerDisconnected

MOST = 32_768
"""Octets of a reply at most; servers say far less, and what says more is none."""
ONE_LINE = re.compile(rb"(\d{3})(?: ([^\r\n]*))?\r?\n")
LINES = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*|\r)?\n")
NO_REPLY = -1
"""The code of what is no reply."""


class Reply(NamedTuple):
    """What the server said: its code, and its words, one line each."""

    code: int
    text: str


class Conversation(asyncio.Protocol):
    """Takes a transport over and asks one question at a time. What comes unasked is nobody's answer."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Reply] | None = None
        self._said = b""
        self._deadline = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._open = not transport.is_closing()
        transport.set_protocol(self)

    @property
    def open(self) -> bool:
        """True while neither side has closed."""
        return self._open and not self._transport.is_closing()

    async def ask(self, line: bytes, seconds: float) -> Reply:
        """Send this, whole lines, and return the reply.

        Raises aiosmtplib's errors: the time is over, the connection ended, or what came is no reply. After an
        error or a cancellation the answers are out of step: close.
        """
        if not self.open:
            raise SMTPServerDisconnected("Connection lost")
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._answer = answer
        self._said = b""
        self._deadline = self._loop.time() + seconds
        if self._alarm is None or self._alarm.when() > self._deadline:
            self._set_alarm()
        self._transport.write(line)
        try:
            return await answer
        finally:
            self._answer = None

    def close(self) -> None:
        """Close at once."""
        self._open = False
        self._transport.close()
        self._end_alarm()

    # -- what the loop calls

    def data_received(self, data: bytes) -> None:
        """Take what the server says."""
        if self._answer is None or self._answer.done():
            return
        said = self._said = self._said + data if self._said else data
        if one := ONE_LINE.fullmatch(said):
            code, words = one.groups(b"")
            self._answer.set_result(Reply(int(code), words.decode("utf-8", "surrogateescape")))
        elif len(said) > MOST:
            self._fail(SMTPResponseException(NO_REPLY, "Response too long"))
        elif said.endswith(b"\n"):
            self._read_lines(said)

    def _read_lines(self, said: bytes) -> None:
        """Read a reply of several lines, if it is whole; what follows it was not asked for."""
        if whole := LINES.match(said):
            lines = whole.group().splitlines()
            text = b"\n".join(line[4:].strip() for line in lines).decode("utf-8", "surrogateescape")
            cast("asyncio.Future[Reply]", self._answer).set_result(Reply(int(lines[-1][:3]), text))
        elif not all(re.match(rb"\d{3}-", line) for line in said.splitlines()):
            words = said.decode("utf-8", "ignore")
            self._fail(SMTPResponseException(NO_REPLY, f"Malformed SMTP response line: {words}"))

    def eof_received(self) -> bool:
        """Close where the server has closed its side."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._open = False
        self._end_alarm()
        error = SMTPServerDisconnected("Connection lost")
        error.__cause__ = exc
        self._fail(error)

    # -- time: one alarm for many questions, set anew where it rings too early; one for each would cost more

    def _set_alarm(self) -> None:
        self._end_alarm()
        self._alarm = self._loop.call_at(self._deadline, self._ring)

    def _end_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = None
        if self._answer is None:
            return
        if self._loop.time() < self._deadline:
            self._set_alarm()
        else:
            self._fail(SMTPReadTimeoutError("Timed out waiting for server response"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
