"""An SMTP server of our own that keeps what it accepted and misbehaves as it is told, on a real socket."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.tcp_server import TcpServer


@dataclass(frozen=True)
class Accepted:
    """A mail the sink has taken, and when (Unix time)."""

    message_id: str
    recipient: str
    at: float
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=policy.default)  # type: ignore[return-value]

    def part(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        assert body is not None
        return body.get_content()


@dataclass
class Fault:
    """What to do when a stage is reached: connect, ehlo, auth, mail, rcpt, data, or dot (the content is in).

    `reply` answers with that line instead of the usual one; `delay` waits first, and `until` waits for that event;
    `hang` says nothing more; `close` hangs up, after the `reply` if there is one. At the dot, `keep` says whether
    the mail counts as accepted all the same.
    """

    stage: str
    reply: str | None = None
    delay: float = 0
    until: threading.Event | None = None
    hang: bool = False
    close: bool = False
    keep: bool = False
    times: int | None = None
    """How often it happens; none: always."""
    recipient: str | None = None
    """Only for mails to this address (from the rcpt stage on)."""


@dataclass
class Sink(TcpServer):
    """The server."""

    longest_line = 2**25
    delay: float = 0
    groups: bool = True
    """Whether it offers to take commands in groups (PIPELINING, RFC 2920)."""
    auth: str = ""
    """The mechanisms to sign in with that it offers: ``PLAIN LOGIN``, say."""
    behind: int = 0
    """Contents that had something of the next mail right behind them."""
    faults: list[Fault] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    commands: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?starttls=never"

    def url_with(self, password: str) -> str:
        """Return an address with a user's name and this password, in the clear."""
        return f"smtp://mailroom:{password}@127.0.0.1:{self.port}?starttls=never"

    @property
    def sign_ins(self) -> int:
        """How often somebody tried to sign in."""
        return sum(command.upper().startswith("AUTH") for command in self.commands)

    def to(self, recipient: str) -> list[Accepted]:
        return [mail for mail in self.accepted if mail.recipient == recipient]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        try:
            await _Session(self, reader, writer).run()
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            writer.transport.abort()

    def fault_at(self, stage: str, recipient: str | None) -> Fault | None:
        for fault in self.faults:
            if fault.stage != stage or fault.times == 0:
                continue
            if fault.recipient and fault.recipient != recipient:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None


class _HungUp(ConnectionError):
    pass


class _Session:
    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sink = sink
        self.reader = reader
        self.writer = writer
        self.recipient: str | None = None
        self.greeted = self.begun = False

    async def run(self) -> None:
        await self.answer("connect", "220 sink.example ESMTP")
        while line := await self.reader.readline():
            command = line.decode("utf-8").strip()
            self.sink.commands.append(command)
            verb = command.partition(" ")[0].upper()
            if verb == "QUIT":
                self.say("221 2.0.0 goodbye")
                return
            await self.obey(verb, command)

    async def obey(self, verb: str, command: str) -> None:
        if verb in {"EHLO", "HELO"}:
            self.greeted = True
            groups = "250-PIPELINING\r\n" if self.sink.groups else ""
            auth = f"250-AUTH {self.sink.auth}\r\n" if self.sink.auth else ""
            await self.answer("ehlo", f"250-sink.example\r\n{groups}{auth}250-8BITMIME\r\n250 SMTPUTF8")
        elif verb == "AUTH":
            await self.answer("auth", "235 2.7.0 welcome")
        elif verb == "MAIL" and not self.greeted:
            self.say("503 5.5.1 say EHLO first")
        elif verb == "MAIL" and self.begun:
            self.say("503 5.5.1 nested MAIL command")
        elif verb == "MAIL":
            self.begun = await self.answer("mail", "250 2.1.0 ok")
        elif verb in {"RCPT", "DATA"} and not self.begun:
            self.say("503 5.5.1 need MAIL before that")
        elif verb == "RCPT":
            self.recipient = command.partition("<")[2].partition(">")[0]
            await self.answer("rcpt", "250 2.1.5 ok")
        elif verb == "DATA":
            if await self.answer("data", "354 go on"):
                self.begun = False
                await self.take()
        else:
            self.begun = self.begun and verb != "RSET"
            self.say("250 2.0.0 ok")

    async def take(self) -> None:
        raw = await self.reader.readuntil(b"\r\n.\r\n")
        self.sink.behind += bool(self.reader._buffer)  # type: ignore[attr-defined]  # one write mostly comes whole
        raw = raw[:-3].replace(b"\r\n..", b"\r\n.")
        fault = self.sink.fault_at("dot", self.recipient)
        if fault is None or fault.keep:
            message_id = str(message_from_bytes(raw)["Message-ID"])
            self.sink.accepted.append(Accepted(message_id, self.recipient or "", time.time(), raw))
        if self.sink.delay:
            await asyncio.sleep(self.sink.delay)
        await self.act(fault, "250 2.0.0 accepted")

    async def answer(self, stage: str, usual: str) -> bool:
        return await self.act(self.sink.fault_at(stage, self.recipient), usual)

    async def act(self, fault: Fault | None, usual: str) -> bool:
        """Answer as the fault says; True where the usual answer was given."""
        if fault is None:
            self.say(usual)
            return True
        if fault.delay:
            await asyncio.sleep(fault.delay)
        while fault.until and not fault.until.is_set():
            await asyncio.sleep(0.02)
        if fault.hang:
            await asyncio.Event().wait()
        if fault.close:
            if fault.reply:
                self.say(fault.reply)
                await self.writer.drain()
            raise _HungUp
        self.say(fault.reply or usual)
        await self.writer.drain()
        if (fault.reply or "").startswith("421"):
            raise _HungUp
        return fault.reply is None

    def say(self, line: str) -> None:
        self.writer.write(line.encode() + b"\r\n")


PATIENCE = 60.0
"""Seconds that a wait has at least. How soon something comes is the machine's; whether it comes is the test's."""


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE, what: str = "") -> None:
    """Wait until `condition` holds; fails after `seconds`, which are never fewer than `PATIENCE`."""
    seconds = max(seconds, PATIENCE)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {what or condition}"
        time.sleep(0.02)
