"""Checks the key, sender and recipients of what a client submits; a message is stored before its 250."""

import asyncio
import logging
from base64 import b64decode
from typing import Any

from aiosmtpd.smtp import AuthResult, Envelope, Session

from mailroom.api_keys.acceptance import Acceptance
from mailroom.api_keys.errors import ForbiddenSender, InvalidKey
from mailroom.api_keys.keys import ApiKeys, Key
from mailroom.api_keys.refusals import KeyRefusals, Refused
from mailroom.kit import clock, tracing
from mailroom.kit.errors import Unavailable
from mailroom.kit.ids import new_id
from mailroom.mail.messages.addresses import NotAnAddress, read_mailbox
from mailroom.mail.messages.composition import message_id_of
from mailroom.mail.messages.draft import MOST_RECIPIENTS, InvalidMessage
from mailroom.submission.message import read_message

logger = logging.getLogger(__name__)

AWAY = "451 4.3.0 The server cannot store messages right now. Please try again in a minute"
LARGE = 256 * 1024
"""Octets from which a message is read in a thread: the loop has other clients."""


class SubmissionHandler:
    """Hooks that aiosmtpd calls, each with the connection's protocol, session and envelope."""

    def __init__(
        self,
        keys: ApiKeys,
        acceptance: Acceptance,
        refusals: KeyRefusals,
        *,
        hostname: str,
        domain: str,
    ) -> None:
        """`hostname` is for the Received field, `domain` for a Message-ID of ours; both are in ASCII."""
        self._keys = keys
        self._acceptance = acceptance
        self._refusals = refusals
        self._hostname = hostname
        self._domain = domain

    async def handle_EHLO(
        self, server: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Announce what aiosmtpd can but does not tell."""
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", "250 HELP"]

    async def auth_PLAIN(self, server: Any, args: list[str]) -> AuthResult:
        """Sign in with a user name, which may be any, and a key (RFC 4616)."""
        given = await self._given(server, args, "")
        if given is None:
            return AuthResult(success=False, handled=True)
        return await self._sign_in(server, given.split(b"\0")[-1])

    async def auth_LOGIN(self, server: Any, args: list[str]) -> AuthResult:
        """The same in two steps, for old clients."""
        if await self._given(server, args, "User Name") is None:
            return AuthResult(success=False, handled=True)
        given = await self._given(server, args[:1], "Password")
        if given is None:
            return AuthResult(success=False, handled=True)
        return await self._sign_in(server, given)

    async def _given(self, server: Any, args: list[str], challenge: str) -> bytes | None:
        """Return the client's response, to a challenge or given with AUTH; None if it was refused already."""
        if len(args) > 1:
            try:
                return b64decode(args[1].encode(), validate=True)
            except ValueError:
                await server.push("501 5.5.2 This is not base64")
                return None
        given = await server.challenge_auth(challenge)
        return given if isinstance(given, bytes) else None

    async def _sign_in(self, server: Any, secret: bytes) -> AuthResult:
        try:
            key = await self._keys.authenticate(secret.decode("utf-8", "replace").strip())
        except InvalidKey as error:
            if error.key_id:
                await self._refusals.note(error.key_id, Refused("smtp", "AUTH", 535, "5.7.8"))
            await asyncio.sleep(0.5)
            return AuthResult(success=False, handled=False, message=f"535 5.7.8 {error}")
        except Unavailable:
            await server.push(AWAY)
            return AuthResult(success=False, handled=True)
        if not key.may_send:
            await self._refusals.note(key.id, Refused("smtp", "AUTH", 535, "5.7.8"))
            return AuthResult(success=False, handled=False, message="535 5.7.8 This API key may not send")
        return AuthResult(success=True, auth_data=key)

    async def handle_MAIL(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the envelope's sender; what counts is the From of the message."""
        try:
            self._keys.check_sender(_key_of(session), read_mailbox(address, localhost=True).address)
        except NotAnAddress as error:
            return await self._refuse(session, "MAIL", f"553 5.1.7 {error}")
        except ForbiddenSender as error:
            return await self._refuse(session, "MAIL", f"553 5.7.1 {error}")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient."""
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return f"452 4.5.3 A message has at most {MOST_RECIPIENTS} recipients; send the others another copy"
        try:
            envelope.rcpt_tos.append(read_mailbox(address).address)
        except NotAnAddress as error:
            return await self._refuse(session, "RCPT", f"553 5.1.3 {error}")
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        """Store the message; the reply names its id. If the reply is no 250, nothing was stored."""
        with tracing.span("SMTP DATA"):
            return await self._store(session, envelope)

    async def _store(self, session: Session, envelope: Envelope) -> str:
        raw = envelope.content
        assert isinstance(raw, bytes)
        try:
            key = await self._standing(_key_of(session))
            if len(raw) >= LARGE:
                draft, content = await asyncio.to_thread(self._read, raw, envelope, session)
            else:
                draft, content = self._read(raw, envelope, session)
            del raw
            envelope.content = None  # another copy of it is stored
            self._keys.check_sender(key, draft.sender.address)
            message_id = await self._acceptance.accept_raw(key, draft, content, source="smtp")
        except InvalidKey as error:
            return await self._refuse(session, "DATA", f"535 5.7.8 {error}")
        except ForbiddenSender as error:
            return await self._refuse(session, "DATA", f"553 5.7.1 {error}", "From")
        except InvalidMessage as error:
            return await self._refuse(session, "DATA", f"554 5.6.0 {error}", error.field)
        except Unavailable:
            return AWAY
        except Exception:
            logger.exception("a submitted message could not be stored")
            return AWAY
        return f"250 2.0.0 Stored as {message_id}"

    async def _refuse(self, session: Session, command: str, reply: str, field: str | None = None) -> str:
        """Record the refusal for the key's owner; return the reply."""
        code, enhanced, _ = reply.split(" ", 2)
        await self._refusals.note(_key_of(session).id, Refused("smtp", command, int(code), enhanced, field))
        return reply

    def _read(self, raw: bytes, envelope: Envelope, session: Session) -> tuple[Any, bytes]:
        number = new_id()
        protocol = "ESMTPSA" if session.ssl else "ESMTPA"  # RFC 3848
        return read_message(
            raw,
            envelope.rcpt_tos,
            received=f"by {self._hostname} (Mailroom) with {protocol} id {number}",
            message_id=message_id_of(number, self._domain),
            now=clock.now(),
        )

    async def _standing(self, key: Key) -> Key:
        """Return the key if it is still valid: a connection may outlive it. Raises `InvalidKey`, `Unavailable`."""
        if not await self._keys.stands(key.id):
            raise InvalidKey
        return key


def _key_of(session: Session) -> Key:
    key = session.auth_data
    assert isinstance(key, Key), "aiosmtpd asks for AUTH first"
    return key
