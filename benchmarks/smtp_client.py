"""A client that submits mails over many connections: `smtp-source` with AUTH. Prints mails a second."""

import asyncio
import base64
import sys
import time

import uvloop


async def session(port: int, key: str, left: list[int], content: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(line: bytes, replies: int = 1) -> None:
        writer.write(line)
        for _ in range(replies):
            while (reply := await reader.readline())[3:4] == b"-":
                pass
            assert reply[:1] in b"23", reply

    await reader.readline()
    await ask(b"EHLO bench.example\r\n")
    await ask(b"AUTH PLAIN " + base64.b64encode(b"\0any\0" + key.encode()) + b"\r\n")
    while left[0] > 0:
        left[0] -= 1
        await ask(b"MAIL FROM:<shop@example.org>\r\n")
        await ask(b"RCPT TO:<alice@example.org>\r\n")
        await ask(b"DATA\r\n")
        await ask(content)
    writer.close()


async def main() -> None:
    port, count, sessions, size = int(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    body = b"x" * 70 + b"\r\n"
    content = b"From: shop@example.org\r\nSubject: bench\r\n\r\n" + body * (size // len(body)) + b".\r\n"
    left = [count]
    began = time.perf_counter()
    await asyncio.gather(*(session(port, sys.argv[2], left, content) for _ in range(sessions)))
    print(count / (time.perf_counter() - began))


uvloop.run(main())
