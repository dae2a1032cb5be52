"""`/embed/live`: a websocket of its own for other programs' pages. No cookie is read or set.

The first message names the tokens, within 5 seconds: ``{"watch": ["<token>", …]}``; later ones may name more. Each
token is answered with where its task is, then with each change: ``{"token": …, "state": …, "final": …}``.
"""

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any
from uuid import UUID

from quart import Response, websocket

from mailroom.api_keys.watch_tokens import ExpiredWatchToken, WrongWatchToken
from mailroom.kit.errors import Unavailable
from mailroom.progress.snapshot import Snapshot
from mailroom.progress.subscription import Subscription
from mailroom.services import Services
from mailroom.web.browser import client, services
from mailroom.web.embed.targets import ForbiddenOrigin, Opened, open_token
from mailroom.web.live.protocol import Allowance, parse
from mailroom.web.live.registry import Full, SocketRegistry
from mailroom.web.live.socket import FAULT, MALFORMED, SEND_WITHIN, SESSION_ENDED, TOO_MUCH, TRY_AGAIN_LATER
from mailroom.web.parts import current
from mailroom.web.security import is_known_host

logger = logging.getLogger(__name__)

FIRST_WITHIN = 5.0
"""Seconds until the first message."""
MOST_TOKENS = 100
STANDS_EVERY = 2.0
"""Seconds between two checks that the keys are still valid."""


async def embed_live() -> Response | None:
    """Check, accept, serve."""
    have, registry = services(), current(SocketRegistry)
    assert have.tracker is not None
    asked = client(websocket)
    if not is_known_host(asked.host, have.settings):
        return Response("This name is not Mailroom's.\n", 400)
    try:
        with registry.place(asked.limited_as), suppress(asyncio.CancelledError):
            socket = EmbedSocket(have, have.tracker.subscribe(), websocket.headers.get("Origin"))
            with registry.embedded(socket):
                await websocket.accept()
                await socket.run()
    except Full as full:
        return Response(f"{full}\n", 503 if full.everywhere else 429)
    return None


class EmbedSocket:
    """One page of another program, and the tokens that it shows."""

    def __init__(self, have: Services, subscription: Subscription, origin: str | None) -> None:
        self._services, self._subscription, self._origin = have, subscription, origin
        self._opened: dict[str, Opened] = {}
        self._snapshots: dict[UUID, Snapshot] = {}
        self._allowance = Allowance()
        self._end: tuple[int, str] | None = None

    def close(self, code: int, reason: str) -> None:
        """Have the socket closed with this code; the first one counts."""
        if self._end is None:
            self._end = (code, reason)
            self._subscription.close()

    async def run(self) -> None:
        """Serve until either side ends it."""
        parts = [asyncio.create_task(part) for part in (self._receive(), self._check_keys())]
        try:
            await self._send()
            async with asyncio.timeout(1):
                await websocket.close(*(self._end or (FAULT, "")))
        except TimeoutError:
            pass  # it takes nothing any more
        finally:
            self._subscription.close()
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    # -- to the page

    async def _send(self) -> None:
        async for snapshot in self._subscription:
            if self._end:
                return
            if isinstance(snapshot, Snapshot):
                self._snapshots[snapshot.task] = snapshot
                for opened in list(self._opened.values()):
                    if snapshot.task in opened.tasks and self._snapshots.keys() >= set(opened.tasks):
                        await self._tell({"token": opened.token, **opened.public(self._snapshots)})

    async def _tell(self, body: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN):
                await websocket.send(json.dumps(body, separators=(",", ":")))
        except TimeoutError:
            self.close(TRY_AGAIN_LATER, "too slow")

    # -- from the page

    async def _receive(self) -> None:
        try:
            try:
                async with asyncio.timeout(FIRST_WITHIN):
                    first = await websocket.receive()
            except TimeoutError:
                self.close(MALFORMED, "name the tokens within 5 seconds")
                return
            await self._hear(first)
            while self._end is None:
                await self._hear(await websocket.receive())
            while True:
                await websocket.receive()  # and drop it: the queue behind this is unbounded
        except Unavailable:
            self.close(TRY_AGAIN_LATER, "database away")
        except Exception:
            logger.exception("a socket of another program's page ended by a fault of ours")
            self.close(FAULT, "a fault of ours")

    async def _hear(self, message: str | bytes) -> None:
        asked = parse(message)
        if not self._allowance.take():
            self.close(TOO_MUCH, "too many messages")
        elif asked is None:
            self.close(MALFORMED, 'send {"watch": [token]}')
        elif len(self._opened) + len(asked.watch) > MOST_TOKENS:
            self.close(TOO_MUCH, f"at most {MOST_TOKENS} tokens a socket")
        else:
            for token in asked.unwatch:
                self._drop(token)
            for token in dict.fromkeys(asked.watch):
                await self._open(token)

    async def _open(self, token: str) -> None:
        try:
            opened = await open_token(self._services, token, self._origin)
        except (WrongWatchToken, ForbiddenOrigin) as error:
            await self._tell({"token": token[:200], "state": "unknown", "reason": reason_of(error), "final": True})
            return
        self._opened[token] = opened
        await self._subscription.watch(opened.tasks)
        for task in opened.tasks:
            self._subscription.push_again(task)  # another token may watch it already

    def _drop(self, token: str) -> None:
        opened = self._opened.pop(token, None)
        if opened:
            still: set[UUID] = {task for other in self._opened.values() for task in other.tasks}
            self._subscription.unwatch([task for task in opened.tasks if task not in still])

    async def _check_keys(self) -> None:
        while True:
            await asyncio.sleep(STANDS_EVERY)
            keys = {opened.target.key_id for opened in self._opened.values()}
            if not keys:
                continue
            try:
                standing = await self._services.api_keys.standing(list(keys))
            except Unavailable:
                continue
            if standing != keys:
                self.close(SESSION_ENDED, "the key stands no more")


def reason_of(error: Exception) -> str:
    """Return why a token opens nothing, in a word: expired, origin or unknown."""
    if isinstance(error, ExpiredWatchToken):
        return "expired"
    return "origin" if isinstance(error, ForbiddenOrigin) else "unknown"
