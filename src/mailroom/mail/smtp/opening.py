"""Everything before the first mail: connect, EHLO, STARTTLS, AUTH, one by one, so that each reply has its stage.

aiosmtplib has each of these commands. Its own way through them is not used: it does not say which of them failed,
and after a refused password it tries the same password again with each other mechanism.
"""

import socket
import ssl

import aiosmtplib

from mailroom.mail.retry_policy import DeliveryResult
from mailroom.mail.smtp.replies import Command, classify, readable
from mailroom.mail.states import Reason
from mailroom.settings import SMTPServer

MECHANISM_CODES = frozenset({504, 534})
"""The mechanism is unknown or too weak: another one may do (RFC 4954 §4, §6)."""

KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 60_000}
"""A peer that vanished silently is known to be away after a minute, not after the ten minutes of an acceptance."""


class ServerTrouble(Exception):
    """No connection to the mail server can be made now. The mail is not the cause."""

    def __init__(self, result: DeliveryResult) -> None:
        super().__init__(result.reason)
        self.result = result


async def open_session(server: SMTPServer, seconds: float, hostname: str) -> aiosmtplib.SMTP:
    """Connect, say EHLO as `hostname`, start TLS and sign in, as `server` asks. Raises `ServerTrouble`.

    Each step may take `seconds`.
    """
    smtp = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.tls,
        start_tls=False,
        # Opportunistic TLS is better than none whatever the certificate says (RFC 7435).
        validate_certs=server.tls or server.starttls == "required",
        local_hostname=hostname,
        timeout=seconds,
    )
    opening = _Opening(smtp, server)
    try:
        await opening.run()
    except BaseException as error:
        smtp.close()
        if isinstance(error, (aiosmtplib.SMTPException, OSError)):  # TimeoutError and SSLError are OSErrors
            raise ServerTrouble(opening.result_of(error)) from error
        raise
    return smtp


class _Opening:
    """The steps, and the one that is under way."""

    def __init__(self, smtp: aiosmtplib.SMTP, server: SMTPServer) -> None:
        self._smtp = smtp
        self._server = server
        self._command = Command.CONNECT
        self._encrypted = server.tls

    async def run(self) -> None:
        await self._smtp.connect()
        _watch_for_silence(self._smtp)
        await self._greet()
        wanted = self._server.starttls
        if wanted == "required" or (wanted == "opportunistic" and self._smtp.supports_extension("starttls")):
            self._command = Command.STARTTLS
            await self._smtp.starttls()
            self._encrypted = True
            await self._greet()  # RFC 3207 §4.2: what the server said before no longer counts
        if self._server.username:
            self._command = Command.AUTH
            await self._sign_in(self._server.username, self._server.password or "")
        if self._smtp.transport is None:  # closed in the meantime
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")

    async def _greet(self) -> None:
        """Send EHLO, or HELO to a server that knows no more (RFC 5321 §4.1.1.1)."""
        self._command = Command.EHLO
        try:
            await self._smtp.ehlo()
        except aiosmtplib.SMTPHeloError:
            if not self._smtp.is_connected:
                raise
            await self._smtp.helo()

    async def _sign_in(self, username: str, password: str) -> None:
        """Send the password once: a server that counts refusals bans those who try it again in another form."""
        if not self._smtp.supports_extension("auth"):
            raise aiosmtplib.SMTPException("The server offers no sign-in (AUTH) on this connection.")
        offered = [name for name in self._smtp.supported_auth_methods if name in {"cram-md5", "plain", "login"}]
        if self._encrypted:  # servers that store hashes sometimes offer CRAM-MD5 and cannot do it
            offered.sort(key="cram-md5".__eq__)
        methods = {
            "cram-md5": self._smtp.auth_crammd5,
            "plain": self._smtp.auth_plain,
            "login": self._smtp.auth_login,
        }
        for number, name in enumerate(offered, 1):
            try:
                await methods[name](username, password)
            except aiosmtplib.SMTPAuthenticationError as error:
                if error.code not in MECHANISM_CODES or number == len(offered):
                    raise
            else:
                return
        raise aiosmtplib.SMTPException("The server offers no way to sign in that Mailroom knows.")

    def result_of(self, error: aiosmtplib.SMTPException | OSError) -> DeliveryResult:
        """Return why there is no connection."""
        secured = error if isinstance(error, ssl.SSLError) else error.__cause__
        if isinstance(secured, ssl.SSLError):
            return DeliveryResult(Reason.TLS, text=readable(secured.reason or secured))
        if isinstance(error, aiosmtplib.SMTPResponseException):
            result = classify(self._command, error.code, error.message, tls=self._encrypted)
            return result if result.reason else result._replace(reason=Reason.UNREACHABLE)  # an unexpected yes
        text = readable(getattr(error, "message", error) or type(error).__name__)
        if type(error) is aiosmtplib.SMTPException:  # not offered: that has no class of its own
            reason = Reason.TLS if self._command is Command.STARTTLS else Reason.SIGN_IN
            return DeliveryResult(reason, text=text)
        return DeliveryResult(Reason.UNREACHABLE, text=text)


def _watch_for_silence(smtp: aiosmtplib.SMTP) -> None:
    """Have the operating system notice a peer that is gone, even while nothing is being sent."""
    peer: socket.socket | None = smtp.get_transport_info("socket")
    if peer is None or peer.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
