"""Hypercorn's websocket, and what Hypercorn leaves to its users: closing, silent peers, compression.

- A message that is too long, not text or not UTF-8 ends the socket with the code of RFC 6455 §7.4.1 for that,
  and the application is told at once.
- After a close was sent the peer gets some seconds to read it and answer; what it still sends is not looked at.
- The time of the peer's last data is kept, so that a peer that answers no ping can be disconnected.
- permessage-deflate (RFC 7692) is not offered: it takes more memory per socket than all the rest together,
  and saves only some bytes of short messages.

Check at an upgrade of Hypercorn: `WSStream` and its `handshake`, `buffer`, `state` and `app_put`; the names of
`ASGIWebsocketState`. `tests/integration/web/test_connections.py` fails if one of these does not hold.
"""

import time
from dataclasses import replace
from typing import Any

from hypercorn.protocol.events import Body, Data, Event, Request, StreamClosed
from hypercorn.protocol.ws_stream import ASGIWebsocketState, FrameTooLargeError, WSStream
from hypercorn.typing import ASGISendEvent
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Message, Ping
from wsproto.frame_protocol import CloseReason

PING_EVERY = 20.0
"""Seconds; also keeps the line open through proxies that end idle ones."""
SILENT_FOR = 45.0
"""Seconds without a byte from the peer, pongs included, until it counts as gone."""
CLOSE_WITHIN = 3.0
"""Seconds a peer has to answer a close."""


class Stream(WSStream):
    """One websocket."""

    heard = 0.0
    """When the peer last sent something, by the monotonic clock."""
    _pinged = 0.0
    _close_sent = 0.0

    async def handle(self, event: Event) -> None:
        """Take what came from the peer."""
        self.heard = time.monotonic()
        if isinstance(event, Request):
            headers = [pair for pair in event.headers if pair[0].lower() != b"sec-websocket-extensions"]
            event = replace(event, headers=headers)
        elif isinstance(event, (Body, Data)) and not self.closed and not self.handshake.accepted:
            await self._send_error_response(400)  # RFC 6455 §4.1: a client waits for the answer
            self.state = ASGIWebsocketState.HTTPCLOSED
            await self.send(StreamClosed(stream_id=self.stream_id))
            return
        await super().handle(event)

    async def app_send(self, message: ASGISendEvent | None) -> None:
        """Send what the application wants sent; `message` is None when the application has ended."""
        if message is None:
            self.app_put = None  # nobody takes from that queue any more
        accepted = self.state in {ASGIWebsocketState.CONNECTED, ASGIWebsocketState.CLOSED}
        if message is not None or self.closed or not accepted:
            await super().app_send(message)
        elif not self._close_sent:
            await self._send_wsproto_event(CloseConnection(code=CloseReason.INTERNAL_ERROR))
        # Then the peer's answer ends the connection, or `tend` does.

    async def _send_wsproto_event(self, event: object) -> None:
        if isinstance(event, CloseConnection) and not self._close_sent:
            self._close_sent = time.monotonic()
        await super()._send_wsproto_event(event)  # type: ignore[arg-type]

    async def _close(self, code: int, reason: str) -> None:
        """Close the socket with this code, and tell the application."""
        first = not self._close_sent
        await self._send_wsproto_event(CloseConnection(code=code, reason=reason))
        if first and self.app_put is not None:
            await self.app_put({"type": "websocket.disconnect", "code": int(code)})

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, CloseConnection):
                if self.connection.state is ConnectionState.REMOTE_CLOSING:
                    await self._send_wsproto_event(event.response())
                elif self.connection.state is ConnectionState.OPEN:  # what came is not RFC 6455
                    await self._close(event.code, event.reason or "")
                    continue
                await self.send(StreamClosed(stream_id=self.stream_id))
                return
            if self._close_sent:
                continue
            if isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, BytesMessage):
                await self._close(CloseReason.UNSUPPORTED_DATA, "text only")
            elif isinstance(event, Message):
                await self._take(event)

    async def _take(self, event: Message[Any]) -> None:
        try:
            self.buffer.extend(event)
        except FrameTooLargeError:
            self.buffer.clear()
            most = self.config.websocket_max_message_size
            await self._close(CloseReason.MESSAGE_TOO_BIG, f"at most {most} characters a message")
            return
        if event.message_finished and self.app_put is not None:
            await self.app_put(self.buffer.to_message())
            self.buffer.clear()

    def tend(self, now: float) -> bytes | None:
        """Return the ping to send now, or empty bytes; None if the connection is to be aborted."""
        if self.state not in {ASGIWebsocketState.CONNECTED, ASGIWebsocketState.CLOSED}:
            return b""
        if self._close_sent:
            return b"" if now - self._close_sent < CLOSE_WITHIN else None
        if now - self.heard > SILENT_FOR:
            return None
        if now - self._pinged < PING_EVERY:
            return b""
        self._pinged = now
        return self.connection.send(Ping())
