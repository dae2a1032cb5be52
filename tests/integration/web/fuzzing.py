"""A real web process to throw bytes at: its answers, its log, its memory and its open files."""

import asyncio
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import psutil
import psycopg

from mailroom.accounts.sessions import Sessions
from mailroom.kit.database import Database
from mailroom.kit.ids import new_id
from mailroom.ops.embedded.ports import free_port
from mailroom.web.cookies import name_of
from tests import processes
from tests.conftest import ROOT, SECRET_KEY, settings_of

STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
MEGABYTE = 1024 * 1024


class Target:
    """One web process behind a proxy that is trusted, so that each request can be another client's."""

    def __init__(self, process: processes.Running, port: int, cookie: str) -> None:
        self.process, self.port, self.cookie = process, port, cookie
        self.database_url, self.valkey = "", None
        self._seen = psutil.Process(process.process.pid)
        self._clients = iter(range(1, 1 << 24))

    def client(self) -> bytes:
        """Return a header by which this request is a client's of its own, for the rate limits."""
        number = next(self._clients)
        return f"X-Forwarded-For: 10.{number >> 16}.{number >> 8 & 255}.{number & 255}\r\n".encode()

    def request(
        self,
        target: bytes,
        *,
        method: bytes = b"GET",
        headers: bytes = b"",
        body: bytes | None = None,
        signed_in: bool = False,
    ) -> bytes:
        """Return the bytes of a request that asks for the end of its connection."""
        cookie = b"Cookie: " + self.cookie.encode() + b"\r\n" if signed_in else b""
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
        return (
            b"%s %s HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n" % (method, target, self.port)
            + self.client()
            + cookie
            + headers
            + length
            + b"\r\n"
            + (body or b"")
        )

    async def send(self, sent: bytes, *, seconds: float = 5, half_close: bool = False) -> bytes:
        """Send bytes on a connection of their own; return what came until its end, or until nothing more comes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        received = bytearray()
        with suppress(ConnectionError):
            writer.write(sent)
            if half_close:
                writer.write_eof()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while data := await reader.read(65536):
                        received += data
        writer.transport.abort()
        return bytes(received)

    async def answers(self, sent: bytes, *, seconds: float = 5) -> list[int]:
        """Return the status of each answer to these bytes."""
        return [int(status) for status in STATUS.findall(await self.send(sent, seconds=seconds))]

    async def is_well(self) -> None:
        """Fail where the process does not answer within a second, or where it had to tell of a fault of ours."""
        async with asyncio.timeout(1):
            assert await self.answers(self.request(b"/healthz")) == [200]
        assert "Traceback" not in self.process.text, self.process.text[-6000:]

    def memory(self) -> float:
        """Return the process's memory, in megabytes."""
        return float(self._seen.memory_info().rss) / MEGABYTE

    def open_files(self) -> int:
        return int(self._seen.num_fds())


@contextmanager
def target(environment: Mapping[str, str], folder: Path) -> Iterator[Target]:
    """Run a web process, and an account that is signed in to it."""
    port = free_port()
    told = {**environment, "TRUSTED_PROXIES": "1"}
    cookie = asyncio.run(_signed_in(told))
    with processes.web(told, folder, port) as process:
        yield Target(process, port, cookie)


async def _signed_in(environment: Mapping[str, str]) -> str:
    settings = settings_of(dict(environment))
    database = Database(settings.database_url, connections=1, name="tests")
    started = await Sessions(database).start("a fuzzer")
    await database.close()
    _own(environment["DATABASE_URL"], started.session.id)
    return f"{name_of(settings)}={started.secret}"


def _own(url: str, session: UUID) -> None:
    account = new_id()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into accounts (id, email, email_key, password_hash) values (%s, %s, %s, 'none')",
            (account, "fuzz@example.org", "fuzz@example.org"),
        )
        connection.execute("update sessions set account_id = %s where id = %s", (account, session))


def environment_for(database_url: str, redis_url: str) -> dict[str, str]:
    """Return what a process of Mailroom is told, with these servers; no mail goes anywhere."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SMTP_URL": "smtp://127.0.0.1:9?starttls=never",
        "MAIL_FROM": "Mailroom <hello@mailroom.example>",
        "SECRET_KEY": SECRET_KEY,
        "HOST": "127.0.0.1",
        "PUBLIC_URL": "http://localhost:8000",
        "PYTHONPATH": str(ROOT / "src"),
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
    }
