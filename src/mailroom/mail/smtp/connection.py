"""One connection to the mail server: aiosmtplib, with a time for each stage and an answer that always fits.

A connection that was interrupted in mid-answer would pair the late answer with the next mail, so whatever
goes wrong here closes it.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import aiosmtplib
from aiosmtplib.email import quote_address

from mailroom.mail.rendering.renderer import CONTROL, Envelope
from mailroom.mail.retry_policy import Answer
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
    """An attempt ended without the server taking the mail for sure; `answer` says how.

    `handed_over` is true where the server may have it all the same. `usable` is false where the connection
    is not to be used again.
    """

    def __init__(self, answer: Answer, *, handed_over: bool = False, usable: bool = False) -> None:
        super().__init__(answer.reason)
        self.answer = answer
        self.handed_over = handed_over
        self.usable = usable


class NotStarted(Exception):
    """The connection ended by what was on it before: nothing of this mail was sent, and any other may have it."""


class ServerTrouble(Exception):
    """The mail server cannot be used at all right now; not this mail's fault."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class Connection:
    """An open, signed-in connection; carries one mail at a time."""

    def __init__(self, smtp: aiosmtplib.SMTP, timeouts: Timeouts) -> None:
        self._smtp = smtp
        self._talk = SmtpProtocol(cast("asyncio.Transport", smtp.transport))
        self._utf8 = smtp.supports_extension("smtputf8")
        self._in_groups = smtp.supports_extension("pipelining")
        self._timeouts = timeouts
        self._introduced: tuple[Envelope, PendingReplies] | None = None
        self.mails = 0

    @classmethod
    async def open(cls, server: SMTPServer, timeouts: Timeouts, hostname: str) -> "Connection":
        """Connect, greet as `hostname`, secure, sign in. Raises `ServerTrouble`."""
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
            raise ServerTrouble(Answer(Reason.TLS, text=readable(error.reason or error))) from error
        except aiosmtplib.SMTPException as error:
            raise ServerTrouble(_trouble(error)) from error
        except (OSError, TimeoutError) as error:
            raise ServerTrouble(Answer(Reason.UNREACHABLE, text=readable(error))) from error
        if smtp.transport is None:  # closed in the meantime
            raise ServerTrouble(Answer(Reason.UNREACHABLE, text="Connection lost"))
        return cls(smtp, timeouts)

    @property
    def usable(self) -> bool:
        """True while neither side has closed."""
        return self._talk.open

    @property
    def has_pending_replies(self) -> bool:
        """True while the server has not answered to a mail that was introduced: no other should wait for that."""
        return self._introduced is not None and not self._introduced[1].answered

    async def deliver(
        self,
        envelope: Envelope,
        may_hand_over: Callable[[], Awaitable[bool]],
        following: Callable[[], Envelope | None] = lambda: None,
    ) -> Answer:
        """Hand the mail over and return the server's acceptance.

        `may_hand_over` is awaited just before DATA; where it says no, the connection closes and nothing was
        sent. Raises `Undelivered`, or `NotStarted`. On cancellation the connection closes: its answers are out of
        step.

        Where the server takes commands in groups (PIPELINING, RFC 2920 §3.1), `following` is asked for the mail
        that goes next over this connection: it is introduced behind this one's content. Its own `deliver` goes on
        from there.
        """
        self.mails += 1
        try:
            return await self._deliver(envelope, may_hand_over, following)
        except Undelivered as error:
            if not error.usable:
                self.close()
            raise
        except aiosmtplib.SMTPResponseException as error:
            answer = classify(error.code, error.message)
            if error.code not in REFUSALS:  # no refusal, nor what was asked for: these answers are another's
                self.close()
                raise Undelivered(answer._replace(reason=Reason.DISCONNECTED)) from error
            await self._start_over(error.code)
            raise Undelivered(answer, usable=self.usable) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            self.close()
            raise Undelivered(Answer(Reason.DISCONNECTED, text=readable(error))) from error
        except BaseException:
            self.close()
            raise

    async def _deliver(
        self,
        envelope: Envelope,
        may_hand_over: Callable[[], Awaitable[bool]],
        following: Callable[[], Envelope | None],
    ) -> Answer:
        if envelope.utf8 and not self._utf8:
            text = "the server does not take addresses outside ASCII (no SMTPUTF8)"
            raise Undelivered(Answer(Reason.REFUSED, 553, "5.6.7", text), usable=True)
        await self._introduce(envelope)
        if not await may_hand_over():
            raise Undelivered(Answer(Reason.WORKER_LOST))
        said = await self._talk.ask(b"DATA\r\n", self._timeouts.data)
        if said.code != START_INPUT:
            raise _refused(said)
        try:
            (done,) = await self._hand_over(envelope, following() if self._in_groups else None)
        except (aiosmtplib.SMTPException, OSError) as error:  # an answer that is no reply, too
            raise Undelivered(Answer(Reason.NO_ANSWER, text=readable(error)), handed_over=True) from error
        answer = classify(done.code, done.text)
        if answer.reason is not None:
            if done.code not in REFUSALS:  # neither yes nor no
                raise Undelivered(answer._replace(reason=Reason.NO_ANSWER), handed_over=True)
            if done.code == CLOSING:
                self.close()
            raise Undelivered(answer, usable=self.usable)
        return answer

    async def _introduce(self, envelope: Envelope) -> None:
        """Name sender and recipient, unless that was done behind the mail before. Raises aiosmtplib's errors."""
        introduced, self._introduced = self._introduced, None
        replies = await _before_its_turn(introduced[1]) if introduced else []
        if introduced is None or introduced[0] is not envelope:
            if introduced:  # that one went another way
                await self._forget_introduced()
            replies = await self._named(envelope)
        if replies[0].code != OK:
            raise _refused(replies[0])
        if replies[1].code not in COMPLETED:  # 252 is a yes, too (RFC 5321 §4.2.1)
            raise _refused(replies[1])

    async def _named(self, envelope: Envelope) -> list[Reply]:
        """Name both; return the replies, up to a refusal."""
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
        """Send the content, and what introduces the mail that follows; return what waits for the acceptance."""
        done = PendingReplies(1, self._timeouts.accept)
        if following is None or (following.utf8 and not self._utf8):
            self._talk.send(envelope.data, done)
            return done
        introduced, lines = PendingReplies(2, self._timeouts.command), _mail(following) + _rcpt(following)
        self._introduced = following, introduced
        self._talk.send(envelope.data + lines, done, introduced)
        return done

    async def _start_over(self, code: int) -> None:
        """After a refusal, drop what is left of the transaction (RFC 5321 §4.1.1.5), or the connection."""
        try:
            if code == CLOSING:
                self.close()
            else:
                await self._reset()
        except (aiosmtplib.SMTPException, OSError):
            self.close()
        except BaseException:  # cancelled: its answer would be taken for the next command's
            self.close()
            raise

    async def quit(self) -> None:
        """Say goodbye and close; never raises, never waits long."""
        try:
            if not self.has_pending_replies:
                await self._talk.ask(b"QUIT\r\n", 1)
        except (aiosmtplib.SMTPException, OSError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Close at once, whatever stage it is in."""
        self._talk.close()
        self._smtp.close()


async def _before_its_turn(introduced: PendingReplies) -> list[Reply]:
    """Return the replies to what was sent behind another mail's content. Raises `NotStarted`."""
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
    """Return an address as a command names it (RFC 5321 §4.1.2)."""
    if CONTROL.search(address):
        raise ValueError("an address with control characters would be another command")
    return quote_address(address) if UNUSUAL.search(address) else f"<{address}>"


def _refused(said: Reply) -> aiosmtplib.SMTPResponseException:
    return aiosmtplib.SMTPResponseException(said.code, said.text)


def classify(code: int, text: str) -> Answer:
    """Return what a reply means for the mail: by its code, never by which command met it (RFC 5321 §4.2.1)."""
    words = readable(text)
    match = ENHANCED.match(words)
    enhanced = match.group(1) if match else None
    if code in COMPLETED:
        reason = None
    elif code == CLOSING:
        reason = Reason.DISCONNECTED
    elif code in SIGN_IN_CODES:
        reason = Reason.SIGN_IN
    elif 500 <= code < 600:  # noqa: PLR2004  # the permanent negative ones
        reason = Reason.REFUSED
    else:
        reason = Reason.DEFERRED
    return Answer(reason, code if code > 0 else None, enhanced, words[:500])


def readable(text: object) -> str:
    """Return a server's words as one line that can be stored: servers send Latin-1, NUL and worse."""
    words = " ".join(str(text).split())
    if words.isprintable():
        return words
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in words)


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    """Say EHLO (RFC 5321 §4.1.1.1) where connecting has not: without a sign-in, or again after STARTTLS."""
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


def _trouble(error: aiosmtplib.SMTPException) -> Answer:
    """Return why no connection came about."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        return Answer(Reason.TLS, text=readable(cause.reason or cause))
    if type(error) is aiosmtplib.SMTPException:  # what the server does not offer has no class of its own
        reason = Reason.TLS if error.message.startswith("SMTP STARTTLS") else Reason.SIGN_IN
        return Answer(reason, text=readable(error.message))
    if isinstance(error, aiosmtplib.SMTPResponseException):
        answer = classify(error.code, error.message)
        sign_in = isinstance(error, aiosmtplib.SMTPAuthenticationError) or answer.reason is Reason.SIGN_IN
        reason = Reason.SIGN_IN if sign_in else Reason.UNREACHABLE
        return Answer(reason, answer.code, answer.enhanced, answer.text)
    return Answer(Reason.UNREACHABLE, text=readable(error.message))
