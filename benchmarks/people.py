"""People who ask by plain HTTP: each request on a connection of its own, from a client of its own."""

import asyncio
import time
import urllib.parse
from dataclasses import dataclass

import psycopg

from mailroom.accounts.passwords.hashing import Passwords

PASSWORD = "seven quiet herons by the lake"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the seconds it took, and the whole answer."""

    status: int
    seconds: float
    text: bytes


async def ask(
    port: int, client: int, path: str, form: dict[str, str] | None = None, *, cookie: str = ""
) -> Answer:
    """GET `path`, or POST `form` to it, as client number `client` (behind a trusted proxy)."""
    body = urllib.parse.urlencode(form or {})
    head = (
        f"{'GET' if form is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost:{port}\r\n"
        f"X-Forwarded-For: 10.{client >> 16 & 255}.{client >> 8 & 255}.{client & 255}\r\nConnection: close\r\n"
    )
    if cookie:
        head += f"Cookie: {cookie}\r\n"
    if form is not None:
        head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}\r\n{body}".encode())
    text = await reader.read()
    writer.close()
    return Answer(int(text.split(maxsplit=2)[1]), time.perf_counter() - began, text)


def add_accounts(postgres: str, emails: list[str]) -> None:
    """Store a confirmed account with PASSWORD for each address."""
    hasher = Passwords()._hasher  # noqa: SLF001
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.cursor().executemany(
            "insert into accounts (id, email, email_key, password_hash) values (gen_random_uuid(), %s, %s, %s)",
            [(email, email, hasher.hash(PASSWORD)) for email in emails],
        )
