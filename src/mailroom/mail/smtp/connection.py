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
from typing import cast

import aiosmtplib
from aiosmtplib.email import quote_address

from mailroom.mail.rendering.renderer import CONTROL, Envelope
from mailroom.mail.retry_policy import DeliveryResult
from mailroom.mail.smtp.acceptance import AcceptanceTimes
from mailroom.mail.smtp.protocol import REFUSALS, PendingReplies, Reply, SmtpProtocol
from mailroom.mail.states import Reason
from mailroom.settings import SMTPServer

UNUSUAL = re.compile(r"[\s<>\"(),:;\[\]\\]")
ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
SIGN_IN_CODES = frozenset({454, 530, 534, 535, 538})  # RFC 4954 §6
OK = 250
COMPLETED = range(200, 300)
"""The positive completion replies."""
CLOSING = 421
START_INPUT = 354


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds each stage may take (RFC 5321 §4.5.3.2)."""

    connect: float = 30
    command: float = 300
    data: float = 120
    accept: float = 600


class Undelivered(Exception):
    """An attempt ended without a clear acceptance; `result` says how.

    `handed_over` is true where the server may have the mail all the same. `usable` is false where the connection
    must not be used again.
    """

    def __init__(self, result: DeliveryResult, *, handed_over: bool = False, usable: bool = False) -> None:
        super().__init__(result.reason)
        self.result = result
        self.handed_over = handed_over
        self.usable = usable


class NotStarted(Exception):
    """The connection ended before anything of this mail was sent. Send the mail over another connection."""


class ServerTrouble(Exception):
    """No connection to the mail server can be made now. The mail is not the cause."""

    def __init__(self, result: DeliveryResult) -> None:
        super().__init__(result.reason)
        self.result = result


class SmtpConnection:
    """An open connection, signed in where the server wants it. It sends one mail at a time."""

    def __init__(
        self, smtp: aiosmtplib.SMTP, timeouts: Timeouts, acceptances: AcceptanceTimes | None = None
    ) -> None:
        self._smtp = smtp
        self._acceptances = acceptances or AcceptanceTimes()
        self._talk = SmtpProtocol(cast("asyncio.Transport", smtp.transport))
        self._utf8 = smtp.supports_extension("smtputf8")
        self._in_groups = smtp.supports_extension("pipelining")
        self._timeouts = timeouts
        self._introduced: tuple[Envelope, PendingReplies] | None = None
        self.mails = 0

    @classmethod
    async def open(
        cls, server: SMTPServer, timeouts: Timeouts, hostname: str, acceptances: AcceptanceTimes | None = None
    ) -> "SmtpConnection":
        """Connect, say EHLO as `hostname`, start TLS and sign in, as `server` asks. Raises `ServerTrouble`."""
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            start_tls={"required": True, "opportunistic": None, "never": False}[server.starttls],
            # Opportunistic TLS is better than none whatever the certificate says (RFC 7435).
            validate_certs=server.tls or server.starttls == "required",
            username=server.username,
            password=server.password,
            local_hostname=hostname,
            timeout=timeouts.connect,
        )
        try:
            await smtp.connect()
            await _greet(smtp)
        except ssl.SSLError as error:
            raise ServerTrouble(DeliveryResult(Reason.TLS, text=readable(error.reason or error))) from error
        except aiosmtplib.SMTPException as error:
            raise ServerTrouble(_trouble(error)) from error
        except (OSError, TimeoutError) as error:
            raise ServerTrouble(DeliveryResult(Reason.UNREACHABLE, text=readable(error))) from error
        if smtp.transport is None:  # closed in the meantime
            raise ServerTrouble(DeliveryResult(Reason.UNREACHABLE, text="Connection lost"))
        return cls(smtp, timeouts, acceptances)

    @property
    def usable(self) -> bool:
        """True while neither side has closed the connection."""
        return self._talk.open

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

        `may_hand_over` is awaited just before DATA. Where it returns false, nothing of the content is sent and the
        connection closes. A cancellation closes the connection, too: its replies would be out of step.

        Where the server takes commands in groups (PIPELINING, RFC 2920 §3.1), `following` is called for the mail
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
        except aiosmtplib.SMTPResponseException as error:
            result = classify(error.code, error.message)
            if error.code not in REFUSALS:  # neither a refusal nor the expected code: the replies are out of step
                self.close()
                raise Undelivered(result._replace(reason=Reason.DISCONNECTED)) from error
            await self._start_over(error.code)
            raise Undelivered(result, usable=self.usable) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            self.close()
            raise Undelivered(DeliveryResult(Reason.DISCONNECTED, text=readable(error))) from error
        except BaseException:
            self.close()
            raise

    async def _deliver(
        self,
        envelope: Envelope,
        may_hand_over: Callable[[], Awaitable[bool]],
        following: Callable[[], Envelope | None],
    ) -> DeliveryResult:
        if envelope.utf8 and not self._utf8:
            text = "the server does not take addresses outside ASCII (no SMTPUTF8)"
            raise Undelivered(DeliveryResult(Reason.REFUSED, 553, "5.6.7", text), usable=True)
        await self._introduce(envelope)
        if not await may_hand_over():
            raise Undelivered(DeliveryResult(Reason.WORKER_LOST))
        if envelope.withheld:
            return await self._withhold()
        said = await self._talk.ask(b"DATA\r\n", self._timeouts.data)
        if said.code != START_INPUT:
            raise _refused(said)
        began = time.monotonic()
        try:
            (done,) = await self._hand_over(envelope, following() if self._in_groups else None)
        except (aiosmtplib.SMTPException, OSError) as error:  # also a line that is no reply
            raise Undelivered(DeliveryResult(Reason.NO_ANSWER, text=readable(error)), handed_over=True) from error
        result = classify(done.code, done.text)
        if result.reason is not None:
            if done.code not in REFUSALS:  # neither yes nor no
                raise Undelivered(result._replace(reason=Reason.NO_ANSWER), handed_over=True)
            if done.code == CLOSING:
                self.close()
            raise Undelivered(result, usable=self.usable)
        self._acceptances.note(time.monotonic() - began)
        return result

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
            raise _refused(replies[0])
        if replies[1].code not in COMPLETED:  # 252 is a yes, too (RFC 5321 §4.2.1)
            raise _refused(replies[1])

    async def _named(self, envelope: Envelope) -> list[Reply]:
        """Send MAIL and RCPT; return the replies, up to the first refusal."""
        if self._in_groups:
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
        if following is None or (following.utf8 and not self._utf8):
            self._talk.send(envelope.data, done)
            return done
        introduced, lines = PendingReplies(2, self._timeouts.command), _mail(following) + _rcpt(following)
        self._introduced = following, introduced
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
    options = " SMTPUTF8 BODY=8BITMIME" if envelope.utf8 else ""
    return f"MAIL FROM:{_path(envelope.sender)}{options}\r\n".encode()


def _rcpt(envelope: Envelope) -> bytes:
    return f"RCPT TO:{_path(envelope.recipient)}\r\n".encode()


def _path(address: str) -> str:
    """Return an address as a path, in angle brackets (RFC 5321 §4.1.2). Raises ValueError."""
    if CONTROL.search(address):
        raise ValueError("an address with control characters would be another command")
    return quote_address(address) if UNUSUAL.search(address) else f"<{address}>"


def _refused(said: Reply) -> aiosmtplib.SMTPResponseException:
    return aiosmtplib.SMTPResponseException(said.code, said.text)


def classify(code: int, text: str) -> DeliveryResult:
    """Return the meaning of a reply for the mail. Only the code counts, not the command (RFC 5321 §4.2.1)."""
    words = readable(text)
    match = ENHANCED.match(words)
    enhanced = match.group(1) if match else None
    if code in COMPLETED:
        reason = None
    elif code == CLOSING:
        reason = Reason.DISCONNECTED
    elif code in SIGN_IN_CODES:
        reason = Reason.SIGN_IN
    elif 500 <= code < 600:  # noqa: PLR2004  # permanent negative replies
        reason = Reason.REFUSED
    else:
        reason = Reason.DEFERRED
    return DeliveryResult(reason, code if code > 0 else None, enhanced, words[:500])


def readable(text: object) -> str:
    """Return a server's text as one line that can be stored. Servers send Latin-1, NUL and worse."""
    words = " ".join(str(text).split())
    if words.isprintable():
        return words
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in words)


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    """Send EHLO (RFC 5321 §4.1.1.1) where aiosmtplib has not: without a sign-in, or again after STARTTLS."""
    if not smtp.is_ehlo_or_helo_needed:
        return
    try:
        try:
            await smtp.ehlo()
        except aiosmtplib.SMTPHeloError:
            if not smtp.is_connected:
                raise
            await smtp.helo()
    except BaseException:
        smtp.close()
        raise


def _trouble(error: aiosmtplib.SMTPException) -> DeliveryResult:
    """Return why there is no connection."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        return DeliveryResult(Reason.TLS, text=readable(cause.reason or cause))
    if type(error) is aiosmtplib.SMTPException:  # aiosmtplib has no class for an extension that is not offered
        reason = Reason.TLS if error.message.startswith("SMTP STARTTLS") else Reason.SIGN_IN
        return DeliveryResult(reason, text=readable(error.message))
    if isinstance(error, aiosmtplib.SMTPResponseException):
        result = classify(error.code, error.message)
        sign_in = isinstance(error, aiosmtplib.SMTPAuthenticationError) or result.reason is Reason.SIGN_IN
        reason = Reason.SIGN_IN if sign_in else Reason.UNREACHABLE
        return DeliveryResult(reason, result.code, result.enhanced, result.text)
    return DeliveryResult(Reason.UNREACHABLE, text=readable(error.message))
