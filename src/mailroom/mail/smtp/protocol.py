"""Commands and replies on an open connection to a mail server (RFC 5321 §4.2), pipelined if it allows that.

aiosmtplib connects, greets, starts TLS and signs in. After that each mail is four commands. aiosmtplib's work for
each command (a timeout task, a lock, a parser for every case) would cost more than everything else about a mail.

Check at an upgrade of aiosmtplib: that `SMTP.transport` is the connection's transport once it is connected, also
after STARTTLS, and that nothing else reads it then (`tests/integration/mail/smtp/`).
"""

import asyncio
import re
from collections import deque
from collections.abc import Generator
from typing import Any, NamedTuple

from aiosmtplib import SMTPReadTimeoutError, SMTPResponseException, SMTPServerDisconnected

MOST = 32_768
"""Octets of a reply at most. Real replies are far shorter; longer input is no reply."""
LINE = re.compile(rb"(\d{3})(?: ([^\r\n]*))?\r?\n")
LINES = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*|\r)?\n")
MORE = re.compile(rb"\d{3}-")
REFUSALS = range(400, 600)
"""The negative replies."""
NO_REPLY = -1
"""Used as the code of input that is no SMTP reply."""


class Reply(NamedTuple):
    """A reply of the server: its code, and its text with one line for each line of the reply."""

    code: int
    text: str


class PendingReplies:
    """The replies to commands that were sent. Await it for the list of replies, in the order of the commands."""

    __slots__ = ("_count", "_future", "_replies", "seconds")

    def __init__(self, count: int, seconds: float) -> None:
        """Expect `count` replies, each within `seconds` of the one before it."""
        self._count = count
        self.seconds = seconds
        self._replies: list[Reply] = []
        self._future: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()

    def __await__(self) -> Generator[Any, None, list[Reply]]:
        """Wait for the replies."""
        return self._future.__await__()

    def take(self, reply: Reply) -> bool:
        """Add a reply; return True if it was the last one."""
        self._replies.append(reply)
        if len(self._replies) < self._count:
            return False
        if not self._future.done():
            self._future.set_result(self._replies)
        return True

    @property
    def answered(self) -> bool:
        """True once all replies are there, or an error is."""
        return self._future.done()

    def fail(self, error: Exception) -> None:
        """Make the await raise `error`. A refusal that came just before the end is returned instead."""
        if self._future.done():
            return
        if self._replies and self._replies[-1].code in REFUSALS:  # "550 …", and the connection ends
            self._future.set_result(self._replies)
            return
        self._future.set_exception(error)
        self._future.exception()  # nobody may await it; asyncio must not log that


class SmtpProtocol(asyncio.Protocol):
    """Takes over a transport. Sends commands and matches replies to them; drops input nobody waits for."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._asked: deque[PendingReplies] = deque()
        self._said = b""
        self._deadline = self._waits_since = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._open = not transport.is_closing()
        self.unasked = False
        """True once the server sent a reply to no command, other than that it closes: replies are out of step."""
        transport.set_protocol(self)

    @property
    def open(self) -> bool:
        """True while neither side has closed."""
        return self._open and not self._transport.is_closing()

    @property
    def silent_for(self) -> float:
        """Seconds that a reply has been awaited; 0 if none is missing."""
        return self._loop.time() - self._waits_since if self._asked else 0.0

    async def ask(self, line: bytes, seconds: float) -> Reply:
        """Send one command; return its reply, which may take `seconds`. Raises the same errors as `send`."""
        question = PendingReplies(1, seconds)
        self.send(line, question)
        return (await question)[0]

    def send(self, lines: bytes, *questions: PendingReplies) -> None:
        """Send commands (whole lines) at once; `questions` wait for their replies, in this order.

        Awaiting a question raises aiosmtplib's errors: `SMTPReadTimeoutError`, `SMTPServerDisconnected`, or
        `SMTPResponseException` for input that is no reply. After an error or a cancellation the replies are out of
        step: close the connection.
        """
        if not self.open:
            for question in questions:
                question.fail(SMTPServerDisconnected("Connection lost"))
            return
        if not self._asked:
            self._said = b""
            self._wait(questions[0])
        self._asked += questions
        self._transport.write(lines)

    def close(self) -> None:
        """Close at once."""
        self._open = False
        self._transport.close()
        self._end_alarm()

    # -- called by the event loop

    def data_received(self, data: bytes) -> None:
        """Take input from the server."""
        said, start = (self._said + data if self._said else data), 0
        while self._asked and start < len(said):
            if line := LINE.match(said, start):
                code, words = line.groups(b"")
                text = words.decode("utf-8", "surrogateescape")
            elif line := LINES.match(said, start):
                lines = line.group().splitlines()
                code = lines[-1][:3]
                text = b"\n".join(each[4:].strip() for each in lines).decode("utf-8", "surrogateescape")
            else:
                self._check(said[start:])
                break
            start = line.end()
            if self._asked[0].take(Reply(int(code), text)):
                self._asked.popleft()
            if self._asked:
                self._wait(self._asked[0])
        else:
            if start < len(said):
                self._end_unasked(said[start:])
        self._said = said[start:] if self._asked else b""

    def _end_unasked(self, rest: bytes) -> None:
        """Close the connection: a reply to no command would be taken for the reply to the next one."""
        self.unasked = not rest.startswith(b"421")
        self.close()

    def _check(self, rest: bytes) -> None:
        """Fail the questions if this input cannot become a reply."""
        lines = rest.split(b"\n")
        if len(rest) > MOST:
            self._fail(SMTPResponseException(NO_REPLY, "Response too long"))
        elif not all(map(MORE.match, lines[:-1])):
            words = rest.decode("utf-8", "ignore")
            self._fail(SMTPResponseException(NO_REPLY, f"Malformed SMTP response line: {words}"))

    def eof_received(self) -> bool:
        """Close the connection when the server has closed its side."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the questions that still wait."""
        self._open = False
        self._end_alarm()
        error = SMTPServerDisconnected("Connection lost")
        error.__cause__ = exc
        self._fail(error)

    # -- time limits: one timer for all questions, set again if it fires too early; one for each would cost more

    def _wait(self, question: PendingReplies) -> None:
        self._waits_since = self._loop.time()
        self._deadline = self._waits_since + question.seconds
        if self._alarm is None or self._alarm.when() > self._deadline:
            self._set_alarm()

    def _set_alarm(self) -> None:
        self._end_alarm()
        self._alarm = self._loop.call_at(self._deadline, self._ring)

    def _end_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = None
        if not self._asked:
            return
        if self._loop.time() < self._deadline:
            self._set_alarm()
        else:
            self._fail(SMTPReadTimeoutError("Timed out waiting for server response"))

    def _fail(self, error: Exception) -> None:
        asked, self._asked = self._asked, deque()
        for question in asked:
            question.fail(error)
