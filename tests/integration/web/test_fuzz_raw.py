"""Random bytes at a real web process, for half a minute: no error of ours, no hang, no growth.

FUZZ_SECONDS and FUZZ_SEED may be set; a failure tells the seed and the bytes. What it finds goes into
`test_hostile_requests.py`, by its kind.
"""

import asyncio
import os
import random
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.valkey import Valkey
from tests.conftest import database_on
from tests.integration.web.fuzzing import STATUS, Target, environment_for, target

SECONDS = float(os.environ.get("FUZZ_SECONDS", "20"))
SEED = int(os.environ.get("FUZZ_SEED", random.randrange(1 << 32)))
AT_ONCE = 12

METHODS = b"GET POST HEAD OPTIONS PUT DELETE PATCH CONNECT TRACE PRI g \xff".split()
PATHS = [
    b"/",
    b"/sign-up",
    b"/sign-in",
    b"/sign-out",
    b"/new-password",
    b"/new-password/x",
    b"/confirm",
    b"/confirm/x",
    b"/account",
    b"/account/export",
    b"/account/sessions/x/end",
    b"/mails/x",
    b"/mails/0195d1f0-0000-7000-8000-000000000000",
    b"/tasks",
    b"/tasks/x",
    b"/tasks/x/cancel",
    b"/api/v1/tasks",
    b"/api/v1/tasks/0195d1f0-0000-7000-8000-000000000000",
    b"/api/openapi.json",
    b"/static/mailroom.css",
    b"/favicon.ico",
    b"/healthz",
    b"/metrics",
    b"/live",
    b"/nowhere",
]
QUERIES = [b"", b"?", b"?state=sent", b"?before=x", b"?limit=5", b"?wait=1", b"?next=/account", b"?v=1", b"?%s=%s"]
NAMES = [
    b"Accept",
    b"Accept-Encoding",
    b"Accept-Language",
    b"Authorization",
    b"Connection",
    b"Content-Encoding",
    b"Content-Length",
    b"Content-Type",
    b"Cookie",
    b"Expect",
    b"Host",
    b"If-Match",
    b"If-Modified-Since",
    b"If-None-Match",
    b"Origin",
    b"Range",
    b"Referer",
    b"Sec-Fetch-Site",
    b"Sec-WebSocket-Extensions",
    b"Sec-WebSocket-Key",
    b"Sec-WebSocket-Protocol",
    b"Sec-WebSocket-Version",
    b"Transfer-Encoding",
    b"Upgrade",
    b"User-Agent",
    b"X-Forwarded-For",
    b"X-Forwarded-Host",
    b"X-Forwarded-Proto",
]
VALUES = [
    b"",
    b"*/*",
    b"application/json",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"text/html;q=0.5",
    b"chunked",
    b"gzip",
    b"identity",
    b"close",
    b"keep-alive, Upgrade",
    b"websocket",
    b"h2c",
    b"100-continue",
    b"0",
    b"-1",
    b"5",
    b"70000",
    b"13",
    b"same-origin",
    b"null",
    b"http://localhost",
    b"localhost",
    b"bytes=0-5",
    b'"x"',
    b"dGhlIHNhbXBsZSBub25jZQ==",
    b"permessage-deflate",
    b"Bearer x",
    b"mailroom=x",
    b"de;q=x,\xff",
    b"Thu, 01 Jan 1970 00:00:00 GMT",
]
BODIES = [
    b"",
    b"{}",
    b"[]",
    b'{"email":"a@example.org","password":"otter lamp quiet ferry"}',
    b'{"email":1,"password":null}',
    b"email=a@example.org&password=x",
    b"code=ABCD2345&ticket=x",
    b"email=%ff&%00=%00",
    b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\na@example.org\r\n--x--\r\n',
    b"5\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"\xff\xfe\x00\x00",
]
FRAMES = [b"\x81", b"\x82", b"\x88", b"\x89", b"\x8a", b"\x01", b"\x00", b"\xf1", b"\x8f"]


class Fuzzer:
    """Makes what is sent; the same seed makes the same."""

    def __init__(self, web: Target, seed: int) -> None:
        self.web, self.random = web, random.Random(seed)
        self._kinds: list[Callable[[], bytes]] = [
            self.noise,
            self.request,
            self.request,
            self.mutated,
            self.mutated,
            self.pipelined,
            self.websocket,
        ]

    def next(self) -> bytes:
        return self.random.choice(self._kinds)()

    def noise(self) -> bytes:
        return self.random.randbytes(self.random.choice([1, 10, 100, 2000, 70_000]))

    def request(self) -> bytes:
        pick = self.random.choice
        target = pick(PATHS) + pick(QUERIES).replace(b"%s", self.escaped())
        if self.random.random() < 0.2:
            target = pick([b"", b"http://localhost", b"//x", b"/../", b"*"]) + target + self.escaped()
        headers = [pick(NAMES) + b": " + self.value() for _ in range(self.random.randrange(6))]
        if self.random.random() < 0.9:
            headers.append(b"Host: localhost:%d" % self.web.port)
        if self.random.random() < 0.5:
            headers.append(b"Cookie: " + self.web.cookie.encode())
        body = pick(BODIES)
        if body and self.random.random() < 0.8:
            headers.append(b"Content-Length: %d" % len(body))
        method = pick(METHODS[:2]) if self.random.random() < 0.7 else pick(METHODS)
        version = pick([b"1.1", b"1.1", b"1.1", b"1.0", b"2.0", b"9"])
        client = self.web.client()  # the rate limits are not what is tried here
        return b"%s %s HTTP/%s\r\n%s%s\r\n\r\n%s" % (method, target, version, client, b"\r\n".join(headers), body)

    def value(self) -> bytes:
        return self.random.choice(VALUES) if self.random.random() < 0.85 else self.random.randbytes(12)

    def escaped(self) -> bytes:
        return b"".join(b"%%%02x" % byte for byte in self.random.randbytes(self.random.randrange(4)))

    def mutated(self) -> bytes:
        text = bytearray(self.request())
        for _ in range(self.random.randrange(1, 4)):
            at = self.random.randrange(len(text))
            match self.random.randrange(4):
                case 0:
                    text[at] = self.random.randrange(256)
                case 1:
                    del text[at : at + self.random.randrange(1, 20)]
                case 2:
                    text[at:at] = self.random.randbytes(self.random.randrange(1, 9))
                case 3:
                    text[at:at] = text[at : at + 200] * self.random.choice([1, 5, 60])
            text = text or bytearray(b"\n")
        return bytes(text)

    def pipelined(self) -> bytes:
        count = self.random.randrange(2, 9)
        return b"".join(self.random.choice([self.request, self.mutated])() for _ in range(count))

    def websocket(self) -> bytes:
        frames = b"".join(
            self.random.choice(FRAMES) + self.random.randbytes(self.random.randrange(1, 40))
            for _ in range(self.random.randrange(5))
        )
        messages = [b'{"watch":["x"]}', b"[", b'{"watch":1}', b"\xff", b"{" * 500]
        message = self.random.choice(messages)
        length = bytes([0x80 | len(message)]) if len(message) < 126 else b"\xfe" + struct.pack(">H", len(message))
        frame = b"\x81" + length + bytes(4) + message
        more = b"Cookie: " + self.web.cookie.encode() + b"\r\n" if self.random.random() < 0.7 else b""
        return (
            b"GET /live HTTP/1.1\r\nHost: localhost:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            % self.web.port
            + self.web.client()
            + more
            + b"\r\n"
            + self.random.choice([frame, frames, frame + frames, b""])
        )


async def say(web: Target, sent: bytes, choice: float) -> bytes:
    """Send bytes as some peer would; return what came back. Raises TimeoutError where the process hangs on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    received = bytearray()
    try:
        pieces = [sent] if choice < 0.6 else [sent[at : at + 700] for at in range(0, len(sent), 700)][:40]
        for piece in pieces:
            if writer.is_closing():
                break
            writer.write(piece)
            if choice >= 0.6:
                await asyncio.sleep(0.001)
        if choice > 0.9 and not writer.is_closing():  # cut in the middle of everything
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return b""
        try:
            async with asyncio.timeout(0.3):
                while data := await reader.read(65536):
                    received += data
        except TimeoutError:
            writer.write_eof()  # now that we have gone it has nothing more to wait for
            async with asyncio.timeout(15):
                while data := await reader.read(65536):
                    received += data
    except (ConnectionError, RuntimeError):
        pass
    finally:
        writer.transport.abort()
    return bytes(received)


@pytest.fixture(scope="module")
def web(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with (
        database_on(postgres, f"fuzz_{os.getpid()}") as url,
        target(environment_for(url, valkey.url), tmp_path_factory.mktemp("fuzz")) as web,
    ):
        yield web


async def test_random_bytes_find_no_error_no_hang_and_no_growth(web: Target) -> None:
    fuzzer = Fuzzer(web, SEED)
    loop = asyncio.get_running_loop()
    sent_in_all = 0

    async def send_until(end: float) -> None:
        nonlocal sent_in_all
        while loop.time() < end:
            sent, choice = fuzzer.next(), fuzzer.random.random()
            sent_in_all += 1
            try:
                received = await say(web, sent, choice)
            except TimeoutError:
                pytest.fail(f"FUZZ_SEED={SEED}: no end to {sent[:3000]!r}")
            errors = [status for status in STATUS.findall(received) if status.startswith(b"5")]
            assert not errors, f"FUZZ_SEED={SEED}: {errors} for {sent[:3000]!r}\n{web.process.text[-3000:]}"

    async def for_seconds(seconds: float) -> None:
        await asyncio.gather(*(send_until(loop.time() + seconds) for _ in range(AT_ONCE)))

    await for_seconds(SECONDS / 3)  # what is loaded once is loaded
    await asyncio.sleep(1)
    memory, files = web.memory(), web.open_files()
    await for_seconds(SECONDS * 2 / 3)
    await asyncio.sleep(1)
    await web.is_well()
    print(f"FUZZ_SEED={SEED}: {sent_in_all} connections, {web.memory() - memory:+.1f} MB")  # noqa: T201
    assert web.memory() - memory < 12, f"FUZZ_SEED={SEED}"
    assert web.open_files() <= files + 5, f"FUZZ_SEED={SEED}"
    assert " error " not in web.process.text, web.process.text[-5000:]
