"""The inbox: what is handed over by SMTP is on disk, and readable by any process, before it is answered for."""

import asyncio
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest

from mailroom.ops.embedded.inbox_store import InboxStore
from mailroom.ops.embedded.ports import free_port


def start(port: int, folder: Path) -> subprocess.Popen[bytes]:
    options = ["--port", str(port), "--folder", str(folder)]
    return subprocess.Popen([sys.executable, "-m", "mailroom.ops.embedded.inbox_server", *options])


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    port, folder = free_port(), tmp_path_factory.mktemp("inbox") / "mails"
    server = start(port, folder)
    for _ in range(200):
        try:
            smtplib.SMTP("127.0.0.1", port).quit()
            break
        except ConnectionRefusedError:
            assert server.poll() is None
            time.sleep(0.03)
    yield port, folder
    server.terminate()
    assert server.wait(5) == 0


def mail(to: str, subject: str = "Confirm your address") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Mailroom <hello@example.org>"
    message["To"] = to
    message["Subject"] = subject
    message.set_content(
        "Grüße\nhttp://example.org/confirm/a-rather-long-token-that-must-not-be-broken-in-two-by-encoding"
    )
    message.add_alternative("<p>Grüße</p>", subtype="html")
    return message


def test_a_mail_is_kept_with_text_html_envelope_and_source(inbox: tuple[int, Path]) -> None:
    port, folder = inbox
    with smtplib.SMTP("127.0.0.1", port) as connection:
        connection.send_message(mail("Alice@Example.org"))
    (kept,) = InboxStore(folder).messages(to="alice@example.org")
    assert (kept.sender, kept.to) == ("Mailroom <hello@example.org>", "Alice@Example.org")
    assert kept.subject == "Confirm your address"
    assert kept.text.splitlines()[0] == "Grüße"
    assert kept.text.splitlines()[1].endswith("by-encoding")
    assert kept.html.strip() == "<p>Grüße</p>"
    assert ("To", "Alice@Example.org") in kept.headers
    assert kept.received_at.tzinfo
    raw = InboxStore(folder).raw(kept.id)
    assert raw
    assert raw.startswith(b"From: Mailroom")


async def test_an_address_of_any_script_is_taken(inbox: tuple[int, Path]) -> None:
    port, folder = inbox
    await aiosmtplib.send(
        mail("γιώργος@example.org", "Ηλεκτρονικό"), hostname="127.0.0.1", port=port, start_tls=False
    )
    (kept,) = InboxStore(folder).messages(to="ΓΙΏΡΓΟΣ@example.org")
    assert kept.subject == "Ηλεκτρονικό"


async def test_what_was_answered_with_250_is_there_even_after_a_kill(tmp_path: Path) -> None:
    port = free_port()
    server = start(port, tmp_path / "mails")
    accepted: list[str] = []

    async def send(number: int) -> None:
        address = f"bob{number}@example.org"
        for _ in range(100):
            try:
                await aiosmtplib.send(mail(address), hostname="127.0.0.1", port=port, start_tls=False)
            except aiosmtplib.SMTPException:
                await asyncio.sleep(0.05)
            else:
                accepted.append(address)
                return

    sending = [asyncio.create_task(send(number)) for number in range(40)]
    while len(accepted) < 15:
        await asyncio.wait(sending, timeout=0.001)
    server.kill()
    server.wait()
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)
    kept = {message.to for message in InboxStore(tmp_path / "mails").messages()}
    assert set(accepted) <= kept


def test_a_mail_that_is_too_large_is_refused(inbox: tuple[int, Path]) -> None:
    port, _ = inbox
    with smtplib.SMTP("127.0.0.1", port) as connection:
        connection.ehlo()
        assert int(connection.esmtp_features["size"]) == 25 * 1024 * 1024
        assert connection.has_extn("8bitmime")
        assert connection.has_extn("smtputf8")
        assert connection.docmd("MAIL", f"FROM:<a@example.org> SIZE={26 * 1024 * 1024}")[0] == 552


def test_the_inbox_server_needs_neither_the_web_nor_celery() -> None:
    code = "import sys, mailroom.ops.embedded.inbox_server as _; print({'quart', 'celery'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
