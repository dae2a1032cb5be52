"""SMTP submission over a real socket and a real PostgreSQL: what is answered with 250 is stored."""

import asyncio
import smtplib
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest

from mailroom.api_keys.keys import KeyRequest
from mailroom.bootstrap.services import create_services
from mailroom.kit.errors import Unavailable
from mailroom.mail.messages.rows import PUT
from mailroom.mail.messages.views import Filter, FoundMessage, find_message, list_messages
from mailroom.ops.processes.listening import listen
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.submission.handler import SubmissionHandler
from mailroom.submission.listener import Listener

SHOP = "shop@mailroom.example"


class Office:
    """A listener, its services, and a key."""

    def __init__(self, services: Services, port: int, secret: str, listener: Listener) -> None:
        self.services, self.port, self.secret, self.listener = services, port, secret, listener

    def client(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, timeout=10)

    def send(self, message: EmailMessage | bytes, to: list[str], secret: str | None = None) -> None:
        with self.client() as client:
            client.login("anyone", secret or self.secret)
            raw = (
                message
                if isinstance(message, bytes)
                else message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
            )
            client.sendmail(SHOP, to, raw)

    async def newest(self) -> FoundMessage | None:
        async with self.services.database.begin() as work:
            found, _ = await list_messages(work, Filter(), limit=1)
            return await find_message(work, found[0].message.id) if found else None


@pytest.fixture
async def office(settings: Settings) -> AsyncIterator[Office]:
    changed = settings.model_copy(update={"mail_from": "Mailroom <hello@mailroom.example>"})
    services = create_services(changed, lambda _ids: None, lambda *_: None, name="test")
    handler = SubmissionHandler(
        services.api_keys,
        services.acceptance,
        services.key_refusals,
        hostname="mx.example",
        domain="mailroom.example",
    )
    listener = Listener(handler, changed)
    listening = listen("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(listener.make, sock=listening)
    async with services.database.begin() as work:
        _, secret = await services.api_keys.create(work, KeyRequest("shop"))
    yield Office(services, listening.getsockname()[1], secret, listener)
    server.close()
    for connection in list(listener.open):
        if connection.transport:
            connection.transport.abort()
    await asyncio.sleep(0.05)
    await services.database.close()


def message(**headers: str) -> EmailMessage:
    made = EmailMessage()
    for name, value in {"From": f"Shop <{SHOP}>", "To": "alice@example.org", "Subject": "Hé", **headers}.items():
        made[name.replace("_", "-")] = value
    made.set_content("Hello\n.dots\n..more\n")
    return made


async def test_a_message_is_stored_without_bcc_and_with_what_it_lacked(office: Office) -> None:
    sent = message(Cc="bob@example.org", Bcc="carol@example.org")
    await asyncio.to_thread(office.send, sent, ["alice@example.org", "bob@example.org", "carol@example.org"])
    found = await office.newest()
    assert found is not None and found.content is not None
    assert (found.message.source, found.message.subject, found.message.sender) == ("smtp", "Hé", f"Shop <{SHOP}>")
    assert [one.mail.recipient for one in found.recipients] == [
        "alice@example.org",
        "bob@example.org",
        "carol@example.org",
    ]
    assert found.message.bcc_addresses == ["carol@example.org"] and b"carol" not in found.content
    head, _, body = found.content.partition(b"\r\n\r\n")
    assert head.startswith(b"Received: by mx.example (Mailroom) with ESMTPA id ")
    assert b"\r\nDate: " in head and b"\r\nMessage-ID: <" in head
    assert body == b"Hello\r\n.dots\r\n..more\r\n"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 1000, 70_000, 3_000_000])
async def test_a_body_of_any_size_comes_through_as_it_is(office: Office, size: int) -> None:
    body = (b"0123456789\r\n.a\r\n" * (size // 15 + 1))[:size].rstrip(b"\r\n")
    raw = b"From: shop@mailroom.example\r\n\r\n" + body + b"\r\n"
    await asyncio.to_thread(office.send, raw, ["alice@example.org"])
    found = await office.newest()
    assert found is not None and found.content is not None
    assert found.content.partition(b"\r\n\r\n")[2] == body + b"\r\n"
    assert office.listener._budget.taken == 0


def talk(port: int, *lines: bytes) -> bytes:
    """Say all of this at once, as PIPELINING allows, and return what is answered until the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"".join(lines))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def plain(secret: str) -> bytes:
    return b"AUTH PLAIN " + b64encode(b"\0any\0" + secret.encode()) + b"\r\n"


EHLO, QUIT = b"EHLO client.example\r\n", b"QUIT\r\n"
MAIL, RCPT = b"MAIL FROM:<shop@mailroom.example>\r\n", b"RCPT TO:<alice@example.org>\r\n"
DATA = b"DATA\r\nFrom: shop@mailroom.example\r\n\r\nHi\r\n.\r\n"


async def test_two_messages_in_one_breath_and_every_reply_has_an_enhanced_code(office: Office) -> None:
    told = await asyncio.to_thread(
        talk,
        office.port,
        EHLO,
        plain(office.secret),
        MAIL,
        RCPT,
        DATA,
        MAIL,
        RCPT,
        DATA,
        b"NOOP\r\n",
        b"OOPS\r\n",
        QUIT,
    )
    lines = told.decode().splitlines()
    ehlo = [line for line in lines if line.startswith("250-")]
    for extension in (
        "SIZE 40000000",
        "8BITMIME",
        "SMTPUTF8",
        "PIPELINING",
        "ENHANCEDSTATUSCODES",
        "AUTH LOGIN PLAIN",
    ):
        assert f"250-{extension}" in ehlo
    assert sum("Stored as" in line for line in lines) == 2
    for line in lines[len(ehlo) + 2 :]:
        assert line.startswith("354") or line[4] == line[0], line


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([MAIL], "530"),
        ([b"AUTH PLAIN " + b64encode(b"\0a\0mr_wrong") + b"\r\n"], "535 5.7.8"),
        ([b"AUTH PLAIN !!!\r\n"], "501"),
        (["key", b"MAIL FROM:<mallory@elsewhere.example>\r\n"], "553 5.7.1"),
        (["key", MAIL, b"RCPT TO:<nobody>\r\n"], "553 5.1.3"),
        (["key", MAIL, RCPT, b"DATA\r\nFrom: mallory@elsewhere.example\r\n\r\nHi\r\n.\r\n"], "553 5.7.1"),
        (["key", MAIL, RCPT, b"DATA\r\nSubject: no From\r\n\r\nHi\r\n.\r\n"], "554 5.6.0"),
        (
            ["key", MAIL, RCPT, b"DATA\r\nFrom: shop@mailroom.example\r\n\r\nHi\n.\n smuggled\r\n.\r\n"],
            "554 5.6.0",
        ),
        (["key", MAIL, RCPT, b"DATA\r\n\r\n" + b"a" * 999 + b"\r\n.\r\n"], "554 5.6.0"),
        (["key", MAIL, RCPT, b"DATA\r\n.\r\n"], "554 5.6.0"),
        (["key", b"MAIL FROM:<shop@mailroom.example> SIZE=40000001\r\n"], "552 5.3.4"),
        (["key", MAIL, b"DATA\r\n"], "503 5.5.1"),
        (["key", MAIL, *[b"RCPT TO:<a%d@example.org>\r\n" % n for n in range(51)]], "452 4.5.3"),
    ],
)
async def test_what_may_not_be_submitted_is_refused_with_its_code_and_not_stored(
    office: Office, lines: list[Any], code: str
) -> None:
    said = [plain(office.secret) if line == "key" else line for line in lines]
    told = await asyncio.to_thread(talk, office.port, EHLO, *said, QUIT)
    assert told.decode().splitlines()[-2].startswith(code), told
    assert await office.newest() is None


async def test_a_revoked_key_stops_a_connection_that_is_open(office: Office) -> None:
    client = await asyncio.to_thread(office.client)
    await asyncio.to_thread(client.login, "any", office.secret)
    async with office.services.database.begin() as work:
        keys = await office.services.api_keys.list(work)
        await office.services.api_keys.revoke(work, keys[0].id)
    with pytest.raises(smtplib.SMTPDataError) as caught:
        await asyncio.to_thread(client.send_message, message())
    assert caught.value.smtp_code == 535
    client.close()


async def test_postgresql_away_is_told_as_later_and_nothing_is_lost(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = office.services.database.fetch

    async def away(query: str, *arguments: Any) -> Any:
        if query == PUT:
            raise Unavailable
        return await fetch(query, *arguments)

    client = await asyncio.to_thread(office.client)
    await asyncio.to_thread(client.login, "any", office.secret)
    with monkeypatch.context() as down:
        down.setattr(office.services.database, "fetch", away)
        with pytest.raises(smtplib.SMTPDataError) as caught:
            await asyncio.to_thread(client.send_message, message())
    assert caught.value.smtp_code == 451
    await asyncio.to_thread(client.send_message, message())
    assert await office.newest() is not None
    client.close()


async def test_what_is_refused_to_a_key_over_smtp_is_kept_for_its_owner(office: Office) -> None:
    key = await office.services.api_keys.authenticate(office.secret)

    def refuse() -> None:
        with office.client() as client:
            client.login("anyone", office.secret)
            assert client.mail("x@elsewhere.example")[0] == 553

    await asyncio.to_thread(refuse)
    async with office.services.database.begin() as work:
        (kept,) = await office.services.key_refusals.newest(work, key.id)
        assert (kept.door, kept.request, kept.status, kept.name) == ("smtp", "MAIL", 553, "5.7.1")
        await office.services.api_keys.revoke(work, key.id)
    office.services.key_refusals._noted.clear()
    with pytest.raises(smtplib.SMTPAuthenticationError):
        await asyncio.to_thread(office.send, message(), ["alice@example.org"])
    async with office.services.database.begin() as work:
        newest = (await office.services.key_refusals.newest(work, key.id))[0]
        assert (newest.request, newest.status) == ("AUTH", 535)
