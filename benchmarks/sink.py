"""A fast SMTP server in a process of its own: takes everything, keeps only the time of each mail."""

import asyncio
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

DOT = b"\r\n.\r\n"


class Session(asyncio.Protocol):
    """One connection; `delay` seconds before the answer to the dot. Takes commands in groups (RFC 2920)."""

    delay = 0.0
    times: list[float] = []  # noqa: RUF012  # shared on purpose: all connections count together

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's has no such base
        self.buffer = b""
        self.content = self.waiting = False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.buffer and not self.waiting:  # whatever is behind a content waits for its answer
            if self.content:
                if self.buffer.endswith(DOT) and self.buffer.find(DOT) == len(self.buffer) - len(DOT):
                    self.buffer = b""
                else:
                    end = self.buffer.find(DOT)
                    if end < 0:
                        return
                    self.buffer = self.buffer[end + len(DOT) :]
                self.content = False
                self.taken()
                continue
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                return
            self.buffer = rest
            self.answer(line[:4].upper())

    def answer(self, verb: bytes) -> None:
        if verb == b"DATA":
            self.content = True
            self.transport.write(b"354 go on\r\n")
        elif verb == b"EHLO":
            self.transport.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"250 ok\r\n")

    def taken(self) -> None:
        if self.delay:
            self.waiting = True
            asyncio.get_running_loop().call_later(self.delay, self.go_on)
        else:
            self.accept()

    def go_on(self) -> None:
        self.waiting = False
        self.accept()
        self.data_received(b"")

    def accept(self) -> None:
        self.times.append(time.time())
        self.transport.write(b"250 2.0.0 accepted\r\n")


async def main(port: int, delay: float, journal: Path) -> None:
    Session.delay = delay
    server = await asyncio.get_running_loop().create_server(Session, "127.0.0.1", port)
    async with server:
        written = 0
        while True:
            await asyncio.sleep(0.02)
            if len(Session.times) > written:
                with journal.open("a") as file:
                    file.writelines(f"{at}\n" for at in Session.times[written:])
                written = len(Session.times)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])))
