"""Other programs, as the faults know them: they send over HTTP and SMTP, and keep what they were promised."""

import asyncio
import smtplib
import threading
import time
from email.message import EmailMessage

import httpx

from mailroom.api_keys.keys import KeyRequest
from mailroom.bootstrap.services import create_services
from tests.conftest import settings_of
from tests.faults.stack import Stack

BATCH = 20
"""Messages in one request, every other time."""


def make_key(stack: Stack) -> str:
    """Return a new API key of this stack."""

    async def run() -> str:
        have = create_services(settings_of(stack.environment), lambda _ids: None, lambda *_: None, name="test")
        try:
            async with have.database.begin() as work:
                return (await have.api_keys.create(work, KeyRequest("shop")))[1]
        finally:
            await have.database.close()

    return asyncio.run(run())


class Program(threading.Thread):
    """Sends one mail after the other, each to an address of its own."""

    def __init__(self, stack: Stack, key: str, name: str, wanted: int) -> None:
        super().__init__()
        self.stack, self.key, self.name_, self.wanted = stack, key, name, wanted
        self.stopping = threading.Event()
        self.promised: dict[str, float] = {}
        """Each recipient whose mail got its 200 or 250, and when (Unix time)."""
        self.refused = 0
        self.number = 0

    def address(self) -> str:
        self.number += 1
        return f"{self.name_}-{self.number}@example.org"

    def run(self) -> None:
        while len(self.promised) < self.wanted and not self.stopping.is_set():
            try:
                self.send()
            except (httpx.HTTPError, OSError, smtplib.SMTPException):
                self.refused += 1
                time.sleep(0.1)

    def send(self) -> None:
        raise NotImplementedError


class HttpProgram(Program):
    """With an Idempotency-Key, and again until it is answered."""

    def send(self) -> None:
        many = BATCH if self.number % 2 else 1
        to = [self.address() for _ in range(many)]
        mails = [{"from": "shop@mailroom.example", "to": one, "subject": "Hello", "text": "Hello"} for one in to]
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": to[0]}
        path, body = ("/emails/batch", mails) if many > 1 else ("/emails", mails[0])
        url = f"http://localhost:{self.stack.port}/api/v1{path}"
        while not self.stopping.is_set():
            try:
                answer = httpx.post(url, json=body, headers=headers, timeout=30)
            except httpx.HTTPError:
                self.refused += 1
            else:
                if answer.status_code == httpx.codes.OK:
                    self.promised.update(dict.fromkeys(to, time.time()))
                    return
                assert answer.status_code in {503, 409}, answer.text
                self.refused += 1
            time.sleep(0.1)


class SmtpProgram(Program):
    """Some mails a connection. One without its 250 is not sent again: whether it was taken nobody knows."""

    def send(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.stack.submission_port, timeout=30) as client:
            client.login("any", self.key)
            for _ in range(10):
                message, to = EmailMessage(), self.address()
                message["From"], message["To"], message["Subject"] = "shop@mailroom.example", to, "Hello"
                message.set_content("Hello")
                client.send_message(message)
                self.promised[to] = time.time()


def check(stack: Stack, programs: list[Program]) -> str:
    """Hold each promise against the rows and the mail server's journal; return the numbers in words."""
    promised = {to for program in programs for to in program.promised}
    rows = stack.sql(
        "select recipient, state, reason, "
        "(select count(*) from attempts where mail_id = mails.id and uncertain_at is not null) "
        "from mails where message_id is not null"
    )
    known = [row[0] for row in rows]
    journal: dict[str, int] = {}
    for mail in stack.sink.accepted:
        journal[mail.recipient] = journal.get(mail.recipient, 0) + 1
    assert len(known) == len(set(known)), "a message was stored twice"
    assert promised <= set(known), f"{len(promised - set(known))} mails got a 200 or 250 and are not there"
    assert not {to for to in journal if to not in set(known)}, "something was sent that no row knows of"
    for to, state, reason, uncertain in rows:
        copies = journal.get(to, 0)
        assert state != "sent" or copies, f"{to} is sent, and the mail server has not got it"
        assert copies <= 1 + uncertain, f"{to} is there {copies} times, unmarked ({state})"
        assert state == "sent" or reason, f"{to} is {state} for no reason that is shown"
    sent = sum(state == "sent" for _, state, _, _ in rows)
    twice = sum(count > 1 for count in journal.values())
    tries = sum(program.refused for program in programs)
    return (
        f"{len(promised)} mails with a 200 or 250 ({tries} requests without), {len(rows)} stored, {sent} sent, "
        f"{len(rows) - sent} shown with a reason; {twice} arrived twice, all of them marked"
    )
