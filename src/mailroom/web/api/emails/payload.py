"""The JSON of a request, up to 40 MB. A large one is parsed in a thread, held once, and handled alone."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from quart import request
from werkzeug.exceptions import BadRequest

from mailroom.api_keys.idempotency import LONGEST, fingerprint_of
from mailroom.kit.memory import give_back_large_blocks
from mailroom.web.parts import current
from mailroom.web.program_answers import ApiError
from mailroom.web.requests import take_body

Made = TypeVar("Made")

IN_THREAD = 256 * 1024
"""From so many bytes on, JSON is parsed and its messages are made in a thread, which keeps the loop free."""
ALONE = 2_000_000
"""From so many bytes on, requests are handled one at a time: each takes several times its size in memory."""


class LargeTurn(asyncio.Lock):
    """Held while a large request is worked on."""


class Payload:
    """The JSON body of a request."""

    def __init__(self, size: int, value: Any, idempotency_key: str | None, fingerprint: bytes) -> None:
        self.size = size
        self._value = value
        self.idempotency_key = idempotency_key
        self.fingerprint = fingerprint
        """Identifies this payload; empty without an Idempotency-Key."""

    def take(self) -> Any:
        """Return the value, and drop it here."""
        value, self._value = self._value, None
        return value

    async def make(self, work: Callable[[], Made]) -> Made:
        """Return the result of `work`, which runs in a thread if the payload is large."""
        return await asyncio.to_thread(work) if self.size >= IN_THREAD else work()


@asynccontextmanager
async def payload_of(route: str) -> AsyncIterator[Payload]:
    """Read the body of this request, and work on it. Raises `ApiError`, `BadRequest`."""
    if request.mimetype != "application/json":
        raise ApiError(415, "unsupported_media_type", "Send JSON, with Content-Type: application/json.")
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= LONGEST:
        raise ApiError(400, "invalid_idempotency_key", f"An Idempotency-Key has 1 to {LONGEST} characters.")
    if (request.content_length or 0) >= ALONE:
        give_back_large_blocks()
    received = await take_body()
    size = len(received)
    if size >= ALONE:  # it came without its length
        give_back_large_blocks()

    def read() -> Payload:
        fingerprint = fingerprint_of(route, received) if key else b""
        try:
            text = received.decode(json.detect_encoding(received), "surrogatepass")
            received.clear()  # so that memory does not hold it beside the parsed value
            return Payload(size, json.loads(text), key, fingerprint)
        except (ValueError, RecursionError):
            raise BadRequest("The body is not JSON that can be read.") from None

    if size < ALONE:
        yield await asyncio.to_thread(read) if size >= IN_THREAD else read()
        return
    async with current(LargeTurn):
        yield await asyncio.to_thread(read)
