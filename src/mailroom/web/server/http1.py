"""HTTP/1.1 of one connection: Hypercorn's protocol, with requests checked before anything reads them.

What is overridden (Hypercorn 0.18), why, and what to check when Hypercorn changes:

- `handle`: once the peer has gone, a connection that waits to read its next request stops waiting. Hypercorn
  waits for the previous request to end, which never happens if its answer could not be sent.
- `_check_protocol`: h2c is not offered, as its websockets would not use our `Stream`. HTTP/2 ends at the proxy.
- `_create_stream`: a target or handshake that nothing behind us can read is refused with 400. Hypercorn passes
  every target on; Quart answers `GET ?x` with 500, and Hypercorn's own reading of the handshake fails on bytes
  that are not ASCII and takes the connection down with a traceback. Websockets get our `Stream`.
- `_send_error_response`: 400 in place of h11's 501 for an unknown transfer coding (RFC 9112 §6.3: 400 if chunked
  is not the final coding).

Check at an upgrade: the signature of `_create_stream` and the arguments of `WSStream`; that `_handle_events` ends
if there is no stream. `tests/integration/web/test_hostile_requests.py` fails where this does not hold.
"""

import re
from http import HTTPStatus

import h11
from hypercorn.events import Closed, Event
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection

from mailroom.web.server.websocket_stream import Stream

ABSOLUTE = re.compile(rb"https?://([A-Za-z0-9.\-_~%:\[\]]+)((?:/[^?#]*)?(?:\?[^#]*)?)", re.IGNORECASE)
KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
"""Sixteen bytes in base64 (RFC 6455 §4.1)."""


class Ended:
    """Replaces h11's connection once the peer has gone: it receives nothing and sends nothing."""

    our_state = None
    their_state = h11.ERROR
    they_are_waiting_for_100_continue = False

    def next_event(self) -> type[h11.NEED_DATA]:
        """Return that nothing has come."""
        return h11.NEED_DATA

    def send(self, _event: object) -> bytes:
        """Return what goes to the peer: nothing."""
        return b""

    def receive_data(self, data: bytes) -> None:
        """Drop what came."""

    def start_next_cycle(self) -> None:
        """Do nothing: there is no next request."""


class HTTP1(H11Protocol):
    """HTTP/1.1, with our own websocket class."""

    async def handle(self, event: Event) -> None:
        """Take what came from the peer."""
        await super().handle(event)
        if isinstance(event, Closed):
            self.connection = Ended()  # type: ignore[assignment]  # it has the methods that are used
            await self.can_read.set()

    async def _check_protocol(self, event: h11.Request) -> None:
        """Offer no h2c."""

    async def _create_stream(self, request: h11.Request) -> None:
        checked = with_origin_form(request)
        is_handshake = asks_for_websocket(request)
        if checked is None or (is_handshake and not is_handshake_readable(request)):
            await self._send_error_response(HTTPStatus.BAD_REQUEST)
            await self.send(Closed())
        elif is_handshake:
            await self._create_websocket(checked)
        else:
            await super()._create_stream(checked)

    async def _create_websocket(self, request: h11.Request) -> None:
        self.stream = Stream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        assert isinstance(self.connection, h11.Connection)
        self.connection = H11WSConnection(self.connection)
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method="GET",
                raw_path=request.target,
                state=self.connection_state,
            )
        )

    async def _send_error_response(self, status_code: int) -> None:
        is_unknown_coding = status_code == HTTPStatus.NOT_IMPLEMENTED
        await super()._send_error_response(HTTPStatus.BAD_REQUEST if is_unknown_coding else status_code)


def with_origin_form(request: h11.Request) -> h11.Request | None:
    """Return the request with its target as a path and query (RFC 9112 §3.2.1); None if it has another form.

    An absolute target also names the host, which replaces the Host header (§3.2.2). `*` is for OPTIONS only.
    """
    if request.target.startswith(b"/"):
        return request
    if request.target == b"*" and request.method == b"OPTIONS":
        host, target = None, b"/"
    else:
        found = ABSOLUTE.fullmatch(request.target)
        if not found:
            return None
        host, target = found[1], found[2] if found[2].startswith(b"/") else b"/" + found[2]
    headers = [(name, host if host and name == b"host" else value) for name, value in request.headers]
    return h11.Request(method=request.method, target=target, headers=headers, http_version=request.http_version)


def asks_for_websocket(request: h11.Request) -> bool:
    """Tell whether a request is a handshake (RFC 6455 §4.1)."""
    found: dict[bytes, list[bytes]] = {b"connection": [], b"upgrade": []}
    for name, value in request.headers:
        if name in found:
            found[name] += [token.strip().lower() for token in value.split(b",")]
    return request.method == b"GET" and b"upgrade" in found[b"connection"] and b"websocket" in found[b"upgrade"]


def is_handshake_readable(request: h11.Request) -> bool:
    """Tell whether a handshake can be read: ASCII, one key of the right form, no body."""
    keys = []
    for name, value in request.headers:
        if name in {b"content-length", b"transfer-encoding"}:
            return False
        if (name in {b"connection", b"upgrade"} or name.startswith(b"sec-websocket-")) and not value.isascii():
            return False
        if name == b"sec-websocket-key":
            keys.append(value)
    return len(keys) == 1 and KEY.fullmatch(keys[0]) is not None
