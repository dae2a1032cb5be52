"""One connection to the mail server: aiosmtplib, with a time limit for each stage.

After an interruption a late reply would be taken for the reply to the next mail. So every error here closes the
connection.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import aiosmtplib
from aiosmtplib.email import quote_address

from mailroom.mail.rendering.renderer import CONTROL, Envelope
from mailroom.mail.retry_policy import DeliveryResult
from mailroom.mail.smtp.acceptance import AcceptanceTimes
from mailroom.mail.smtp.opening import ServerTrouble, open_session
from mailroom.mail.smtp.pipelining import Pipelining
from mailroom.mail.smtp.protocol import REFUSALS, PendingReplies, Reply, SmtpProtocol
from mailroom.mail.smtp.replies import BAD_SEQUENCE, CLOSING, COMPLETED, Command, classify, readable
from mailroom.mail.states import Reason
from mailroom.settings import SMTPServer

UNUSUAL = re.compile(r"[\s<>\"(),:;\[\]\\]")
OK = 250
START_INPUT = 354

__all__ = ["NotStarted", "ServerTrouble", "SmtpConnection", "Timeouts", "Undelivered"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds each stage may take (RFC 5321 §4.5.3.2)."""

    connect: float = 30
    command: float = 300
    data: float = 120
    accept: float = 600


class Undelivered(Exception):
    """An attempt ended without a clear acceptance; `result` says how.

    `handed_over` is true if the server may have the mail all the same. `usable` is false if the connection
    must not be used again.
    """

    def __init__(self, result: DeliveryResult, *, handed_over: bool = False, usable: bool = False) -> None:
        super().__init__(result.reason)
        self.result = result
        self.handed_over = handed_over
        self.usable = usable


class NotStarted(Exception):
    """The connection ended before anything of this mail was sent. Send the mail over another connection."""


class _NegativeReply(Exception):
    """The server refused a command of a mail: its reply is not the one needed to continue."""

    def __init__(self, command: Command, reply: Reply) -> None:
        super().__init__(reply.code)
        self.command = command
        self.reply = reply


class SmtpConnection:
    """An open connection, signed in if the server requires it. It sends one mail at a time."""

    def __init__(
        self,
        smtp: aiosmtplib.SMTP,
        timeouts: Timeouts,
        *,
        pipelining: Pipelining,
        acceptances: AcceptanceTimes,
        tls: bool,
        tls_version: str | None = None,
        certificate_ends: str | None = None,
    ) -> None:
        self._smtp = smtp
        self._talk = SmtpProtocol(cast("asyncio.Transport", smtp.transport))
        self._utf8 = smtp.supports_extension("smtputf8")
        self._eight_bit = smtp.supports_extension("8bitmime")
        self._offers_groups = smtp.supports_extension("pipelining")
        self._pipelining = pipelining
        self._acceptances = acceptances
        self._grouped = False
        """True once commands went out in a group: then replies may come out of step."""
        self._tls = tls
        self.tls_version = tls_version
        """``TLSv1.3``; none if the connection is not encrypted."""
        self.certificate_ends = certificate_ends
        """When the server's certificate ends, as `ssl` writes it; none if it was not checked."""
        self._timeouts = timeouts
        self._introduced: tuple[Envelope, PendingReplies] | None = None
        self.mails = 0

    @classmethod
    async def open(
        cls,
        server: SMTPServer,
        timeouts: Timeouts,
        hostname: str,
        pipelining: Pipelining | None = None,
        acceptances: AcceptanceTimes | None = None,
    ) -> "SmtpConnection":
        """Connect, say EHLO as `hostname`, start TLS and sign in, as `server` asks. Raises `ServerTrouble`."""
        smtp = await open_session(server, timeouts.connect, hostname)
        tls = smtp.get_transport_info("sslcontext") is not None
        session: ssl.SSLObject | None = smtp.get_transport_info("ssl_object")
        certificate: Any = session.getpeercert() if session else None
        return cls(
            smtp,
            timeouts,
            pipelining=pipelining or Pipelining(server),
            acceptances=acceptances or AcceptanceTimes(),
            tls=tls,
            tls_version=session.version() if session else None,
            certificate_ends=(certificate or {}).get("notAfter"),
        )

    @property
    def _in_groups(self) -> bool:
        return self._offers_groups and self._pipelining.allowed

    @property
    def usable(self) -> bool:
        """True while neither side has closed the connection."""
        return self._talk.open

    @property
    def silent_for(self) -> float:
        """Seconds that a reply has been awaited; 0 if none is missing."""
        return self._talk.silent_for

    @property
    def has_pending_replies(self) -> bool:
        """True while replies to a pipelined MAIL and RCPT are missing. No other mail should wait for them."""
        return self._introduced is not None and not self._introduced[1].answered

    async def deliver(
        self,
        envelope: Envelope,
        may_hand_over: Callable[[], Awaitable[bool]],
        following: Callable[[], Envelope | None] = lambda: None,
    ) -> DeliveryResult:
        """Send the mail and return the server's acceptance. Raises `Undelivered` or `NotStarted`.

        `may_hand_over` is awaited just before DATA. If it returns false, nothing of the content is sent and the
        connection closes. A cancellation closes the connection, too: its replies would be out of step.

        If the server takes commands in groups (PIPELINING, RFC 2920 §3.1), `following` is called for the mail
        that goes next over this connection. Its MAIL and RCPT are sent right behind the content of this mail, and
        its own `deliver` continues with their replies.
        """
        self.mails += 1
        try:
            return await self._deliver(envelope, may_hand_over, following)
        except Undelivered as error:
            if not error.usable:
                self.close()
            raise
        except _NegativeReply as error:
            raise await self._ended_by(error) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            if self._talk.unasked:
                self._suspend_pipelining()
            self.close()
            raise Undelivered(DeliveryResult(Reason.DISCONNECTED, text=readable(error))) from error
        except BaseException:
            self.close()
            raise

    async def _ended_by(self, negative: _NegativeReply) -> Undelivered | NotStarted:
        """Return how the attempt ended with a negative reply before its content was sent."""
        command, reply = negative.command, negative.reply
        result = classify(command, reply.code, reply.text, tls=self._tls)
        out_of_step = reply.code not in REFUSALS  # neither a refusal nor the code needed to continue
        if self._grouped and (out_of_step or reply.code == BAD_SEQUENCE):
            # Mailroom's commands are in order, so the server has mixed up those of a group (RFC 2920 §3.2).
            self._suspend_pipelining()
            self.close()
            if command in {Command.MAIL, Command.RCPT}:  # sent again at once, without groups
                return NotStarted()
            return Undelivered(result._replace(reason=Reason.DISCONNECTED))
        if out_of_step:
            self.close()
            return Undelivered(result._replace(reason=Reason.DISCONNECTED))
        await self._start_over(reply.code)
        return Undelivered(result, usable=self.usable)

    def _suspend_pipelining(self) -> None:
        if self._grouped:
            self._pipelining.suspend()

    def _lacks(self, envelope: Envelope) -> DeliveryResult | None:
        """Return the refusal of a mail that needs what the server does not offer; None if it needs no more."""
        if envelope.utf8 and not self._utf8:
            text = "the server does not take addresses or headers outside ASCII (no SMTPUTF8)"
            in_address = not envelope.recipient.isascii()
            reason = Reason.REFUSED if in_address else Reason.CONTENT_REFUSED
            return DeliveryResult(reason, 553, "5.6.7", text)
        if envelope.eight_bit and not self._eight_bit:
            text = "the server does not take 8-bit content (no 8BITMIME)"
            return DeliveryResult(Reason.CONTENT_REFUSED, 554, "5.6.3", text)
        return None

    async def _deliver(
        self,
        envelope: Envelope,
        may_hand_over: Callable[[], Awaitable[bool]],
        following: Callable[[], Envelope | None],
    ) -> DeliveryResult:
        if lack := self._lacks(envelope):
            raise Undelivered(lack, usable=True)
        await self._introduce(envelope)
        if not await may_hand_over():
            raise Undelivered(DeliveryResult(Reason.WORKER_LOST))
        if envelope.withheld:
            return await self._withhold()
        said = await self._talk.ask(b"DATA\r\n", self._timeouts.data)
        if said.code != START_INPUT:
            raise _NegativeReply(Command.DATA, said)
        began = time.monotonic()
        try:
            (done,) = await self._hand_over(envelope, following() if self._in_groups else None)
        except (aiosmtplib.SMTPException, OSError) as error:  # also a line that is no reply
            raise Undelivered(DeliveryResult(Reason.NO_ANSWER, text=readable(error)), handed_over=True) from error
        result = classify(Command.CONTENT, done.code, done.text, tls=self._tls)
        if result.reason is None:
            self._acceptances.note(time.monotonic() - began)
            return result
        if done.code not in REFUSALS or (done.code == BAD_SEQUENCE and self._introduced):
            # Neither yes nor no, or the refusal of what was sent behind the content.
            self._suspend_pipelining()
            raise Undelivered(result._replace(reason=Reason.NO_ANSWER), handed_over=True)
        if done.code == CLOSING:
            self.close()
        raise Undelivered(result, usable=self.usable)

    async def _withhold(self) -> DeliveryResult:
        """End the transaction without content, in the time that an acceptance takes; return one."""
        await self._reset()
        await asyncio.sleep(self._acceptances.draw())
        return DeliveryResult(code=OK)

    async def _introduce(self, envelope: Envelope) -> None:
        """Send MAIL and RCPT, unless they were sent behind the mail before. Raises aiosmtplib's errors."""
        introduced, self._introduced = self._introduced, None
        replies = await _before_its_turn(introduced[1]) if introduced else []
        if introduced is None or introduced[0] is not envelope:
            if introduced:  # that mail went over another connection
                await self._forget_introduced()
            replies = await self._named(envelope)
        if replies[0].code != OK:
            raise _NegativeReply(Command.MAIL, replies[0])
        if replies[1].code not in COMPLETED:  # 252 accepts, too (RFC 5321 §4.2.1)
            raise _NegativeReply(Command.RCPT, replies[1])

    async def _named(self, envelope: Envelope) -> list[Reply]:
        """Send MAIL and RCPT; return the replies, up to the first refusal."""
        if self._in_groups:
            self._grouped = True
            question = PendingReplies(2, self._timeouts.command)
            self._talk.send(_mail(envelope) + _rcpt(envelope), question)
            return await question
        said = await self._talk.ask(_mail(envelope), self._timeouts.command)
        return [said] if said.code != OK else [said, await self._talk.ask(_rcpt(envelope), self._timeouts.command)]

    async def _forget_introduced(self) -> None:
        try:
            await self._reset()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotStarted from error

    async def _reset(self) -> None:
        if (await self._talk.ask(b"RSET\r\n", self._timeouts.connect)).code != OK:
            raise aiosmtplib.SMTPServerDisconnected("the server does not start over")

    def _hand_over(self, envelope: Envelope, following: Envelope | None) -> PendingReplies:
        """Send the content, and MAIL and RCPT of the mail that follows; return the pending acceptance."""
        done = PendingReplies(1, self._timeouts.accept)
        if following is None or self._lacks(following):
            self._talk.send(envelope.data, done)
            return done
        introduced, lines = PendingReplies(2, self._timeouts.command), _mail(following) + _rcpt(following)
        self._introduced, self._grouped = (following, introduced), True
        self._talk.send(envelope.data + lines, done, introduced)
        return done

    async def _start_over(self, code: int) -> None:
        """After a refusal, end the transaction with RSET (RFC 5321 §4.1.1.5), or close the connection."""
        try:
            if code == CLOSING:
                self.close()
            else:
                await self._reset()
        except (aiosmtplib.SMTPException, OSError):
            self.close()
        except BaseException:  # cancelled: the reply to RSET would be taken for the next command's
            self.close()
            raise

    async def quit(self) -> None:
        """Send QUIT and close. Never raises; waits one second at most."""
        try:
            if not self.has_pending_replies:
                await self._talk.ask(b"QUIT\r\n", 1)
        except (aiosmtplib.SMTPException, OSError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Close at once, in any stage."""
        self._talk.close()
        self._smtp.close()


async def _before_its_turn(introduced: PendingReplies) -> list[Reply]:
    """Return the replies to a pipelined MAIL and RCPT. Raises `NotStarted`."""
    try:
        replies = await introduced
    except (aiosmtplib.SMTPServerDisconnected, OSError) as error:
        raise NotStarted from error
    if any(reply.code == CLOSING for reply in replies):
        raise NotStarted
    return replies


def _mail(envelope: Envelope) -> bytes:
    options = " SMTPUTF8 BODY=8BITMIME" if envelope.utf8 else " BODY=8BITMIME" if envelope.eight_bit else ""
    return f"MAIL FROM:{_path(envelope.sender)}{options}\r\n".encode()


def _rcpt(envelope: Envelope) -> bytes:
    return f"RCPT TO:{_path(envelope.recipient)}\r\n".encode()


def _path(address: str) -> str:
    """Return an address as a path, in angle brackets (RFC 5321 §4.1.2). Raises ValueError."""
    if CONTROL.search(address):
        raise ValueError("an address with control characters would be another command")
    return quote_address(address) if UNUSUAL.search(address) else f"<{address}>"
