"""Requests as our handlers get them: what cannot be read is refused before.

Quart decodes a body when a handler uses it and does not catch the errors, so bytes of a stranger's choice would
cause a 500. Here such an error becomes an `Unreadable` (400), and a body that is too large a `BodyTooLarge` (413),
with a sentence that says what is wrong.
"""

import asyncio
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import quart
from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent
from quart import Quart, current_app, g, request
from quart.asgi import ASGIHTTPConnection
from quart.wrappers.request import Body as QuartBody
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    RequestTimeout,
    ServiceUnavailable,
    UnsupportedMediaType,
)

from mailroom.i18n.formats import size
from mailroom.i18n.messages import gettext
from mailroom.kit.byte_budget import Budget, Share, TooMuch
from mailroom.web.parts import current, provide

View = TypeVar("View", bound=Callable[..., Any])

LARGEST_BODY = 64 * 1024
"""Bytes the body of a request may have unless its route sets a limit; the largest form has a few hundred."""
LARGEST_OF_ALL = 64 * 1024 * 1024
"""The most bytes that any route takes. It applies until the route is known; parts of the body may come before."""
BODY_SECONDS = 20.0
"""Seconds the body of a request may take unless its route sets a limit."""
DISCARD_SECONDS = 5.0
"""Seconds a client may go on sending a body that is too large, so that it can read the answer."""
BUDGET = 60_000_000
"""Bytes that bodies of routes above `LARGEST_BODY` may take together in a process; others are refused (503)."""
UNREAD = 256 * 1024
"""Bytes of a streamed body that may wait to be read."""
MOST_STREAMED = 64
"""Streamed bodies that a process takes at a time; further ones are refused (503)."""
_LIMITS = "mailroom_body"
"""The attribute of a view that holds the limits of its body."""


class Unreadable(BadRequest):
    """A request that cannot be read; the description says why."""


class BodyTooLarge(RequestEntityTooLarge):
    """The body of a request is larger than its route takes: `most` bytes."""

    def __init__(self, most: int) -> None:
        said = gettext("This address takes at most %(size)s in one request. Please send less.", size=size(most))
        super().__init__(said)
        self.most = most


def takes_body(most: int, seconds: float = BODY_SECONDS, *, streamed: bool = False) -> Callable[[View], View]:
    """Mark a route that takes a body of up to `most` bytes within `seconds`; others take `LARGEST_BODY`.

    A `streamed` body is read while it comes (`await request.files` puts files on disk, `async for part in
    request.body`). If the reader is slow, the client waits: at most `UNREAD` bytes are in memory, and none count
    against the `BUDGET`. If the reader waits for the client for more than `seconds` in all, the answer is 408.
    `MOST_STREAMED` bodies are taken at a time. Raises ValueError where `most` is more than `LARGEST_OF_ALL`.
    """
    if most > LARGEST_OF_ALL:
        raise ValueError(f"{most} bytes are more than LARGEST_OF_ALL")

    def mark(view: View) -> View:
        setattr(view, _LIMITS, (most, seconds, streamed))
        return view

    return mark


class StreamedBodies(Budget):
    """The streamed bodies that one process takes at a time."""


class Body(QuartBody):
    """A body that is counted while it comes, and dropped once it is too large.

    Quart hands over the parts by `append` up to 0.22, and by `put` from 0.23 on, which needs Python 3.13.
    """

    def __init__(self, expected: int | None, _most: int | None) -> None:
        super().__init__(None, None)
        self._expected, self._most = expected or 0, LARGEST_OF_ALL
        self._received = 0
        self._ended = asyncio.Event()
        self._share: Share | None = None
        self._is_refused = False
        self._is_streamed = False
        self._was_read = asyncio.Event()
        self._patience = BODY_SECONDS

    def limit(
        self, most: int, share: Share | None = None, *, seconds: float = BODY_SECONDS, streamed: bool = False
    ) -> None:
        """Take at most `most` bytes; a reader of parts waits for them for at most `seconds` in all.

        The `share` counts the bytes, or a streamed body as one. This is called when the route is known, which is
        before anybody reads.
        """
        self._most, self._share, self._is_streamed = most, share, streamed
        self._patience = seconds
        self._count(1 if streamed else self._received)

    async def room(self) -> None:
        """Wait until there is room for the next part."""
        while self._is_streamed and not self._is_refused and len(getattr(self, "_data", b"")) >= UNREAD:
            self._was_read.clear()
            await self._was_read.wait()

    def give_up(self) -> None:
        """Drop what has come, and what may still come."""
        self._is_refused = True
        self._drop()
        if self._share:
            self._share.give_back()
            self._share = None

    def _count(self, size: int) -> None:
        try:
            if self._share and size:
                self._share.take(size)
        except TooMuch:
            self._is_refused = True
            self._drop()

    @property
    def is_too_large(self) -> bool:
        """True if more was announced, or has come, than is allowed."""
        return max(self._received, self._expected) > self._most

    @property
    def is_refused(self) -> bool:
        """True if there was no room for it."""
        return self._is_refused

    async def discard(self) -> None:
        """Let the client finish sending, for some seconds: if it is cut off while sending, it reads no answer."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), DISCARD_SECONDS)

    def append(self, data: bytes) -> None:
        """Take the next part from the server."""
        if self._takes(data):
            super().append(data)

    async def put(self, data: bytes) -> None:
        """Take the next part from the server."""
        if self._takes(data):
            await super().put(data)  # type: ignore[misc]  # it is there from Quart 0.23 on

    def set_result(self, data: bytes) -> None:
        """Take the whole body."""
        if hasattr(QuartBody, "append") or self._takes(data):  # `append` counts it
            super().set_result(data)

    def _takes(self, data: bytes) -> bool:
        """Count a part and tell whether there is room for it. If there is none, drop everything."""
        self._received += len(data)
        if not self.is_too_large and not self._is_refused:
            if not self._is_streamed:
                self._count(len(data))
            return not self._is_refused
        self._drop()
        return False

    def _drop(self) -> None:
        parts: asyncio.Queue[bytes] | None = getattr(self, "_queue", None)  # of Quart from 0.23 on
        while parts and not parts.empty():
            parts.get_nowait()
        self.clear()
        self._was_read.set()
        super().set_complete()  # so that nobody waits for the body any longer

    def set_complete(self) -> None:
        """Take the end from the server."""
        self._ended.set()
        super().set_complete()

    async def __anext__(self) -> bytes:
        """Return the next part. Raises `BodyTooLarge`, `RequestTimeout`.

        Only the time that the client takes counts, not the time of the code that reads.
        """
        self._check()
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                return await super().__anext__()
        except TimeoutError:
            raise RequestTimeout from None
        finally:
            self._patience -= time.monotonic() - began
            self._was_read.set()
            self._check()

    def __await__(self) -> Generator[Any, None, Any]:
        """Return the whole body. Raises `BodyTooLarge`."""
        self._check()
        whole = yield from super().__await__()
        self._check()
        return whole

    async def take(self) -> bytearray:
        """Return the whole body and drop it here; up to Quart 0.22 without a copy. Raises `BodyTooLarge`."""
        if not hasattr(QuartBody, "append"):
            return bytearray(await self)
        self._check()
        await self._complete.wait()
        self._check()
        data, self._data = self._data, bytearray()
        return data

    def _check(self) -> None:
        if self.is_too_large:
            raise BodyTooLarge(self._most)
        if self._is_refused:
            raise ServiceUnavailable


class Request(quart.Request):
    """A request whose body is read as UTF-8, or refused."""

    body_class = Body  # type: ignore[assignment]  # Quart's type is its own class, not a subclass

    async def get_data(self, *arguments: Any, **options: Any) -> Any:
        """Return the body. Raises `Unreadable` where text is asked for and the body is not UTF-8."""
        self._check_encoding()
        try:
            return await super().get_data(*arguments, **options)
        except UnicodeDecodeError:
            raise Unreadable(gettext("The body is not UTF-8.")) from None

    async def take_data(self) -> bytearray:
        """Return the body, which is held nowhere else: the caller may clear it once it is parsed.

        Raises `BodyTooLarge`, `RequestTimeout`, `UnsupportedMediaType`.
        """
        self._check_encoding()
        body = self.body
        assert isinstance(body, Body)
        try:
            async with asyncio.timeout(self.body_timeout):
                return await body.take()
        except TimeoutError:
            raise RequestTimeout from None

    async def get_json(self, *arguments: Any, **options: Any) -> Any:
        """Return the body as JSON (RFC 8259). Raises `Unreadable` where it is none, or is nested too deep."""
        try:
            found = await super().get_json(*arguments, **options)
            check_json(found)
        except (RecursionError, ValueError):
            raise Unreadable(gettext("The body is JSON that cannot be read.")) from None
        return found

    @property
    async def form(self) -> MultiDict[str, str]:
        """The fields of a form. Raises `Unreadable` where they hold what cannot be text."""
        self._check_encoding()
        fields: MultiDict[str, str] = await super().form
        parts = [part for field in fields.items(multi=True) for part in field]
        check_text(parts)
        if any("\ufffd" in part for part in parts):  # the replacement for bytes that could not be decoded
            raise Unreadable(gettext("The form is not UTF-8."))
        return fields

    def on_json_loading_failed(self, error: Exception) -> Any:
        """Raise `Unreadable`."""
        raise Unreadable(gettext("The body is no JSON.")) from error

    def _check_encoding(self) -> None:
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType(gettext("Send the body as it is, without Content-Encoding."))


def check_text(texts: Iterable[str]) -> None:
    """Raise `Unreadable` for text that PostgreSQL cannot store: U+0000, and half of a surrogate pair."""
    for text in texts:
        if "\0" in text:
            raise Unreadable(gettext("The request holds a character that cannot be used in text: U+0000."))
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise Unreadable(gettext("The request holds half of a character: a lone surrogate.")) from None


def check_json(value: Any) -> None:
    """Raise `Unreadable` for a JSON value with a text that PostgreSQL cannot store, or nested too deep."""
    try:
        check_text(_texts(value))
    except RecursionError:
        raise Unreadable(gettext("The body is JSON that cannot be read.")) from None


def _texts(value: Any) -> Iterable[str]:
    """Return every text in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


class Connection(ASGIHTTPConnection):
    """One request and its answer. The next part of a streamed body is asked for when there is room for it."""

    async def handle_messages(self, request: quart.Request, receive: ASGIReceiveCallable) -> None:
        """Hand the messages of the server to the request as it has room; Quart takes them as fast as they come."""
        body = request.body
        assert isinstance(body, Body)

        async def receive_when_there_is_room() -> ASGIReceiveEvent:
            await body.room()
            return await receive()

        await super().handle_messages(request, receive_when_there_is_room)


async def check_request() -> None:
    """Refuse what cannot be read, and give the body the limits of its route."""
    if "\0" in request.path or b"%00" in request.query_string:
        raise Unreadable(gettext("The address holds a character that cannot be used in text: U+0000."))
    view = current_app.view_functions.get(request.endpoint or "")
    most, seconds, streamed = getattr(view, _LIMITS, (LARGEST_BODY, BODY_SECONDS, False))
    body = request.body
    assert isinstance(body, Body)
    budget = current(StreamedBodies) if streamed else current(Budget) if most > LARGEST_BODY else None
    g.mailroom_body = body
    body.limit(most, Share(budget) if budget else None, seconds=seconds, streamed=streamed)
    request.body_timeout = seconds  # type: ignore[assignment]  # typed int by Quart, which passes it to wait_for
    if body.is_too_large:
        await body.discard()
        raise BodyTooLarge(most)
    if streamed and body.is_refused:
        await body.discard()
        raise ServiceUnavailable


async def take_body() -> bytearray:
    """Return the body of this request, which is held nowhere else; see `Request.take_data`."""
    assert isinstance(request, Request)
    return await request.take_data()


async def give_up_body(_error: BaseException | None) -> None:
    """Give the body's share of the budget back."""
    body: Body | None = g.pop("mailroom_body", None)
    if body is not None:
        body.give_up()


def read_requests(app: Quart) -> None:
    """Have `app` read its requests by these rules."""
    provide(app, Budget, Budget(BUDGET))
    provide(app, StreamedBodies, StreamedBodies(MOST_STREAMED))
    app.request_class = Request
    app.asgi_http_class = Connection
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_OF_ALL  # Quart's parser of forms asks for it
    app.before_request(check_request)
    app.teardown_request(give_up_body)
