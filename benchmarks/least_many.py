"""The least that sends many mails and keeps the promise: claims, a line committed before each DATA, endings.

Mailroom's statements and its renderer, over as many connections. No Celery, no progress shown or stored, no leases
renewed, no answer looked at beyond its first digit, no time limit, no error: what it reaches, nothing that does
more on these cores can.
"""

import asyncio
import sys
from collections import deque
from typing import cast

import uvloop

from mailroom.accounts.tokens import Tokens
from mailroom.bootstrap.services import mail_kinds
from mailroom.kit.database import Database
from mailroom.mail.ledger.claims import AttemptEnding, Claim, HandingOver, Ledger
from mailroom.mail.rendering.renderer import Envelope, Renderer
from mailroom.mail.retry_policy import SENT, DeliveryResult
from mailroom.settings import Settings, load

GATHER = 0.003
CLAIMED_AHEAD = 500


class Sender(asyncio.Protocol):
    """One connection. The next mail is introduced behind the content of the one before."""

    def __init__(self, office: "Office") -> None:
        self.office = office
        self.said = 0
        self.mail: Claim | None = None
        self.following: Claim | None = None
        self.envelope: Envelope | None = None
        self.step = "greeted"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert data[:1] in b"23", data
        self.said += data.count(b"\n") if self.step != "ready" else 0
        if self.step == "greeted":
            self.transport.write(b"EHLO least\r\n")
            self.step = "greeting"
            return
        if self.step == "greeting":
            self.step = "ready"
            self.office.idle.append(self)
            return
        if self.step == "content" and self.mail and self.said >= 1:
            self.office.endings.append(
                AttemptEnding(self.mail.id, self.mail.attempt, SENT, DeliveryResult(code=250))
            )
            self.mail, self.following = self.following, None
            self.said -= 1
            if self.mail is None:
                self.step = "ready"
                self.office.idle.append(self)
                return
            self.step = "introduced"
        if self.step == "introduced" and self.said >= 2:
            self.said -= 2
            self.office.wishes.append(self)
        elif self.step == "data" and self.said >= 1:
            assert self.envelope
            self.said -= 1
            content, self.envelope = self.envelope.data, None
            self.following, self.step = self.office.next(), "content"
            self.transport.write(content + self.introduction(self.following) if self.following else content)

    def begin(self, mail: Claim) -> None:
        self.mail, self.step, self.said = mail, "introduced", 0
        self.transport.write(self.introduction(mail))

    def introduction(self, mail: Claim) -> bytes:
        self.envelope = self.office.renderer.render(mail.row)
        return f"MAIL FROM:<{self.envelope.sender}>\r\nRCPT TO:<{mail.recipient}>\r\n".encode()

    def hand_over(self) -> None:
        self.step = "data"
        self.transport.write(b"DATA\r\n")


class Office:
    """Claims ahead, and writes down what its connections wish and have ended."""

    def __init__(self, ledger: Ledger, renderer: Renderer) -> None:
        self.ledger = ledger
        self.renderer = renderer
        self.claimed: deque[Claim] = deque()
        self.idle: list[Sender] = []
        self.wishes: list[Sender] = []
        self.endings: list[AttemptEnding] = []

    def next(self) -> Claim | None:
        return self.claimed.popleft() if self.claimed else None

    async def claim(self) -> None:
        while True:
            if len(self.claimed) < CLAIMED_AHEAD // 2:
                self.claimed += await self.ledger.claim_waiting(CLAIMED_AHEAD)
            while self.idle and self.claimed:
                self.idle.pop().begin(self.claimed.popleft())
            await asyncio.sleep(0.01)

    async def write(self) -> None:
        while True:
            wishing, endings = self.wishes, self.endings
            self.wishes, self.endings = [], []
            wishes = [
                HandingOver(sender.mail.id, sender.mail.attempt, sender.mail.claimed_at, "least")
                for sender in wishing
                if sender.mail
            ]
            if wishes or endings:
                await self.ledger.record_and_hand_over(endings, wishes)
                for sender in wishing:
                    sender.hand_over()
            await asyncio.sleep(GATHER)


def renderer_of(settings: Settings) -> Renderer:
    kinds = mail_kinds(settings, Tokens(settings.secret_keys))
    return Renderer(
        kinds, mail_from=settings.mail_from, product={"public_url": settings.public_url}, brand=settings.brand
    )


async def main(port: int, connections: int) -> None:
    settings = load()
    ledger = Ledger(Database(settings.database_url, connections=4, name="least"), "least")
    office = Office(ledger, renderer_of(settings))
    for _ in range(connections):
        await asyncio.get_running_loop().create_connection(lambda: Sender(office), "127.0.0.1", port)
    await asyncio.gather(office.claim(), office.write())


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:3])))
