"""`/live`: one websocket a page, for as many tickets as it shows.

A watcher gets a snapshot, then changes, then the end; a reconnect is just a new snapshot. The handshake is
answered only after the checks: Origin, and a session of ours.
"""

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any
from uuid import UUID

from quart import Blueprint, Quart, Response, websocket

from mailroom.accounts.views import Session
from mailroom.kit.errors import Unavailable
from mailroom.kit.ids import parse_id
from mailroom.progress.events import Snapshot
from mailroom.progress.models import Task
from mailroom.progress.subscription import Subscription
from mailroom.progress.tickets import Watcher
from mailroom.services import Services
from mailroom.web.browser import services, session_secret
from mailroom.web.client import client_of
from mailroom.web.security import is_same_origin
from mailroom.web.watching import may_read_answers, watcher_of

logger = logging.getLogger(__name__)

MOST_TICKETS = 100
"""Tickets one socket may watch."""
MOST_SOCKETS = 50
"""Sockets one session may hold open in one process."""
SEND_WITHIN = 10.0
"""Seconds a client may take to receive one message; a slower one is let go and may come back."""

# Close codes: RFC 6455 §7.4.1 and its registry; 44xx are ours, and final for the client.
RESTARTING = 1012
TRY_AGAIN_LATER = 1013
MALFORMED = 4400
TOO_MUCH = 4429

blueprint = Blueprint("live", __name__)


class Hub:
    """The open sockets of this process."""

    def __init__(self) -> None:
        self._open: dict[UUID, set[LiveSocket]] = {}
        self._closing = False

    def enter(self, socket: "LiveSocket") -> bool:
        """Count a socket in; False where its session has too many, or the process is stopping."""
        mine = self._open.setdefault(socket.session_id, set())
        if self._closing or len(mine) >= MOST_SOCKETS:
            return False
        mine.add(socket)
        return True

    def leave(self, socket: "LiveSocket") -> None:
        """Count it out."""
        mine = self._open.get(socket.session_id, set())
        mine.discard(socket)
        if not mine:
            self._open.pop(socket.session_id, None)

    @property
    def sockets(self) -> int:
        """How many sockets are open."""
        return sum(map(len, self._open.values()))

    def close_all(self) -> None:
        """Tell every client to come back: this process is about to end."""
        self._closing = True
        for sockets in list(self._open.values()):
            for socket in list(sockets):
                socket.close(RESTARTING, "restarting")


class LiveSocket:
    """One accepted socket: what it asked to watch, and how it is to end."""

    def __init__(self, session_id: UUID, watcher: Watcher, have: Services) -> None:
        assert have.watching is not None
        self.session_id = session_id
        self.subscription: Subscription = have.watching.subscribe()
        self._watcher = watcher
        self._services = have
        self._tasks: dict[str, Task] = {}
        self._end: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def close(self, code: int, reason: str) -> None:
        """Have the socket closed with this code; the first one counts."""
        if not self._end.done():
            self._end.set_result((code, reason))

    async def run(self) -> None:
        """Serve until either side ends it."""
        parts = [asyncio.create_task(self._receive()), asyncio.create_task(self._send())]
        ends: list[asyncio.Future[Any]] = [*parts, self._end]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._end.done():
                code, reason = self._end.result()
                async with asyncio.timeout(1):
                    await websocket.close(code, reason)
        except TimeoutError:
            pass
        finally:
            self.subscription.close()
            for part in parts:
                part.cancel()
            for error in await asyncio.gather(*parts, return_exceptions=True):
                if isinstance(error, Exception):
                    logger.error("a socket ended by a fault of ours", exc_info=error)

    async def _send(self) -> None:
        async for snapshot in self.subscription:
            try:
                async with asyncio.timeout(SEND_WITHIN):
                    await websocket.send(self._words(snapshot))
            except TimeoutError:
                self.close(TRY_AGAIN_LATER, "too slow")
                return

    def _words(self, snapshot: Snapshot) -> str:
        task = self._tasks.get(snapshot.task)
        owner = task is not None and may_read_answers(task, self._watcher)
        return json.dumps(snapshot.public(owner=owner), separators=(",", ":"))

    async def _receive(self) -> None:
        while True:
            message = await websocket.receive()
            asked = _parse(message)
            if asked is None:
                self.close(MALFORMED, 'send {"watch": [ticket]} or {"unwatch": [ticket]}')
                return
            watch, unwatch = asked
            self.subscription.unwatch(unwatch)
            if len(self.subscription.tasks | set(watch)) > MOST_TICKETS:
                self.close(TOO_MUCH, f"at most {MOST_TICKETS} tickets a socket")
                return
            try:
                await self._watch(watch)
            except Unavailable:
                self.close(TRY_AGAIN_LATER, "database away")
                return

    async def _watch(self, tickets: list[str]) -> None:
        """Watch those that this browser may; an unknown and a foreign ticket look alike."""
        if not tickets:
            return
        ids = {ticket: parse_id(ticket) for ticket in tickets}
        async with self._services.database.begin() as work:
            wanted = [task_id for task_id in ids.values() if task_id]
            mine = await self._services.tickets.watchable(work, wanted, self._watcher)
        self._tasks.update((str(task_id), task) for task_id, task in mine.items())
        for ticket, task_id in ids.items():
            if task_id not in mine:
                words = "Unknown, or not for this browser."
                self.subscription.tell(Snapshot(ticket[:64], state="unknown", message=words, final=True))
        await self.subscription.watch([str(task_id) for task_id in mine])


def _parse(message: str | bytes) -> tuple[list[str], list[str]] | None:
    """Return the tickets to watch and to watch no more; None where the message makes no sense."""
    try:
        asked = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(asked, dict) or not asked.keys() <= {"watch", "unwatch"}:
        return None
    lists = asked.get("watch", []), asked.get("unwatch", [])
    for tickets in lists:
        if not isinstance(tickets, list) or not all(isinstance(ticket, str) for ticket in tickets):
            return None
    return lists


@blueprint.websocket("/live")
async def live() -> Response | None:
    """Check, accept, serve."""
    have = services()
    settings = have.settings
    client = client_of(websocket, settings.trusted_proxies)
    if not is_same_origin(dict(websocket.headers), client.scheme, client.host, settings):
        return Response("Only Mailroom's own pages may open this.\n", 403)
    try:
        session = await _session(have)
    except Unavailable:
        return Response("The database is away; try again soon.\n", 503)
    if session is None:
        return Response("No session: open a page of Mailroom first.\n", 401)
    await websocket.accept()
    hub: Hub = have_hub()
    socket = LiveSocket(session.id, watcher_of(session), have)
    if not hub.enter(socket):
        await websocket.close(TRY_AGAIN_LATER, "too many sockets")
        return None
    try:
        with suppress(asyncio.CancelledError):
            await socket.run()
    finally:
        hub.leave(socket)
    return None


async def _session(have: Services) -> Session | None:
    secret = session_secret(websocket.cookies, have.settings)
    return await have.sessions.find(secret) if secret else None


def have_hub() -> Hub:
    """Return the hub of the application that serves this socket."""
    from quart import current_app

    found: Hub = current_app.extensions["mailroom_hub"]
    return found


def serve_live(app: Quart) -> None:
    """Give the application its websocket."""
    app.extensions["mailroom_hub"] = Hub()
    app.register_blueprint(blueprint)
