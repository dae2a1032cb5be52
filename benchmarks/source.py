"""Hands over mails that are ready bytes on connections that stay: what sending alone takes, with no record kept.

Stands in for Postfix's `smtp-source` where that is not installed: the same conversation, in Python on uvloop.
"""

import asyncio
import sys
from typing import cast

import uvloop

CONTENT = (
    b"Subject: x\r\n\r\n" + b"A line of seventy-two characters, as mails have them, more or less.....\r\n" * 100
)


class Source(asyncio.Protocol):
    """One connection that sends mail after mail while there are any `left`."""

    left = 0
    open_ones = 0

    def __init__(self, done: asyncio.Event) -> None:
        self.done = done
        self.step = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's has no such base
        type(self).open_ones += 1

    def data_received(self, data: bytes) -> None:
        assert data[:1] in b"23", data
        commands = (
            b"EHLO source\r\n",
            b"MAIL FROM:<a@example.org>\r\n",
            b"RCPT TO:<b@example.org>\r\n",
            b"DATA\r\n",
        )
        if self.step == len(commands):
            self.transport.write(CONTENT + b".\r\n")
            self.step = 1
            return
        if self.step == 1:
            if Source.left <= 0:
                self.transport.close()
                return
            Source.left -= 1
        self.transport.write(commands[self.step])
        self.step += 1

    def connection_lost(self, _error: Exception | None) -> None:
        type(self).open_ones -= 1
        if not self.open_ones:
            self.done.set()


async def main(port: int, mails: int, connections: int) -> None:
    Source.left, done = mails, asyncio.Event()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Source(done), "127.0.0.1", port)
    await done.wait()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:4])))
