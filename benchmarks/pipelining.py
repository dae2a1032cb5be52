"""What PIPELINING (RFC 2920) gains on one connection whose round trips take 50 ms.

`python -m benchmarks.pipelining`. A proxy holds back each direction for 25 ms. Sent are: each command by itself;
MAIL and RCPT together; MAIL, RCPT and DATA together (then the handing over must be committed before MAIL); and a
content with MAIL and RCPT of the next mail behind it, as Mailroom does (it can be committed just before DATA).
"""

import asyncio
import time
from collections import deque

import uvloop

from benchmarks.sink import Session
from benchmarks.source import CONTENT
from mailroom.ops.embedded.ports import free_port

ONE_WAY = 0.025
MAILS = 20
MAIL, RCPT, DATA = b"MAIL FROM:<a@example.org>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n"
WAYS = {
    "each command by itself": (MAIL, RCPT, DATA),
    "MAIL and RCPT together": (MAIL + RCPT, DATA),
    "MAIL, RCPT and DATA together": (MAIL + RCPT + DATA,),
    "MAIL and RCPT behind a content": (DATA,),
}


class HeldBack:
    """One direction of the proxy: passes on what it gets, each piece `ONE_WAY` seconds later."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.pieces: deque[bytes] = deque()

    async def run(self) -> None:
        while data := await self.reader.read(65536):
            self.pieces.append(data)
            asyncio.get_running_loop().call_later(ONE_WAY, lambda: self.writer.write(self.pieces.popleft()))


async def mails(port: int, groups: tuple[bytes, ...]) -> float:
    """Return seconds for each mail on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    began = time.perf_counter()
    for _ in range(MAILS):
        for group in groups:
            writer.write(group)
            for _ in range(group.count(b"\n")):
                await reader.readline()
        behind = b"" if MAIL[:4] in groups[0] else MAIL + RCPT
        writer.write(CONTENT + b".\r\n" + behind)
        for _ in range(1 + behind.count(b"\n")):
            await reader.readline()
    writer.close()
    return (time.perf_counter() - began) / MAILS


async def main() -> None:
    loop, sink, proxy = asyncio.get_running_loop(), free_port(), free_port()
    tasks = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", sink)
        for way in (HeldBack(reader, back), HeldBack(there, writer)):
            tasks.add(asyncio.create_task(way.run()))

    async with (
        await loop.create_server(Session, "127.0.0.1", sink),
        await asyncio.start_server(pass_on, "127.0.0.1", proxy),
    ):
        found = {name: await mails(proxy, groups) for name, groups in WAYS.items()}
        for task in tasks:
            task.cancel()
    usual = found["each command by itself"]
    for name, seconds in found.items():
        print(f"{name:32} {seconds * 1000:6.1f} ms a mail  {usual / seconds:.2f} times")


if __name__ == "__main__":
    uvloop.run(main())
