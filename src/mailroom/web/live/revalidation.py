"""Stops clients whose session ended or changed, and the watching of tickets that now belong to someone else.

If this process ends or changes a session, its sockets and long polls end at once. But signing out, ending a
session, claiming a ticket or beginning a task may also happen in another process, or in the shell. So each process
asks the database every few seconds, for all its sockets in one query.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

from mailroom.accounts.views import Standing
from mailroom.kit.errors import Unavailable
from mailroom.mail.listing import list_fingerprints
from mailroom.services import Services
from mailroom.tasks.tickets import TicketOwner, Watcher
from mailroom.web.api.waits import Waits
from mailroom.web.live.registry import SocketRegistry
from mailroom.web.live.socket import SESSION_ENDED, LiveSocket
from mailroom.web.live.ticket_owners import TicketOwners, in_batches

logger = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks at the sessions: 5,000 of them take 20 ms of this process."""
LISTS_EVERY, TICKETS_EVERY = 2, 4
"""Checks of the sessions per check of the lists and the desk's overview, and per check of the tickets."""
AT_ONCE = 10
"""Clients checked before the event loop gets to do something else; each may watch a hundred tasks."""


class Client(Protocol):
    """A socket or long poll that watches. It has the rights of its handshake or request."""

    session_id: UUID
    standing: Standing
    watcher: Watcher
    tasks: dict[UUID, TicketOwner]

    def close(self, code: int, reason: str) -> None:
        """End the watching of everything."""

    def lose(self, ticket: UUID) -> None:
        """End the watching of a ticket."""


class Revalidation:
    """The loop that checks the sockets of `hub` and the long polls of `waits`."""

    def __init__(
        self,
        hub: SocketRegistry,
        have: Services,
        holders: TicketOwners,
        waits: Waits,
        desk: Callable[[], Awaitable[str]],
    ) -> None:
        """`desk` returns a text that changes with what the desk's overview shows."""
        self._hub, self._services, self._holders, self._waits = hub, have, holders, waits
        self._desk = desk
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.create_task(self._repeat(), name="recheck")

    async def stop(self) -> None:
        """Stop."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def end(self, sessions: Collection[UUID]) -> None:
        """End the sockets and long polls of sessions that were ended, or signed in, by this process."""
        for client in self._clients():
            if client.session_id in sessions:
                client.close(SESSION_ENDED, "the session ended or changed")

    def _clients(self) -> list[Client]:
        return [*self._hub.sockets, *self._waits.waiting]

    async def _repeat(self) -> None:
        for turn in itertools.count():
            await asyncio.sleep(EVERY)
            await self._try(self._sessions(self._clients()))
            if turn % LISTS_EVERY == 0:
                await self._try(self._lists(list(self._hub.sockets)))
                await self._try(self._desks(list(self._hub.sockets)))
            if turn % TICKETS_EVERY == 0:
                await self._try(self._tickets(self._clients()))

    async def _try(self, look: Coroutine[Any, Any, None]) -> None:
        try:
            await look
        except Unavailable:
            pass  # the database is away: nothing can be checked, but nothing can be changed either
        except Exception:
            logger.exception("open sockets were not looked at; the next round tries again")

    async def _lists(self, sockets: list[LiveSocket]) -> None:
        """Tell those who watch their list that it has changed."""
        listing = [(socket, socket.watcher.account_id) for socket in sockets if socket.listing is not None]
        found: dict[UUID, str] = {}
        for some in in_batches({owner for _, owner in listing if owner}):
            found |= await list_fingerprints(self._services.database, some)
        for socket, owner in listing:
            if owner in found:
                socket.tell_list(found[owner])

    async def _desks(self, sockets: list[LiveSocket]) -> None:
        """Tell those who watch the desk's overview that it has changed. One reading serves all of them."""
        watching = [socket for socket in sockets if socket.desk is not None]
        if watching:
            standing = await self._desk()
            for socket in watching:
                socket.tell_desk(standing)

    async def _sessions(self, clients: list[Client]) -> None:
        """End clients whose session ended, or now has another secret, account or role."""
        standing: dict[UUID, Standing] = {}
        for some in in_batches({client.session_id for client in clients}):
            standing |= await self._services.sessions.standing(some)
        for client in clients:
            if standing.get(client.session_id) != client.standing:
                client.close(SESSION_ENDED, "the session ended or changed")

    async def _tickets(self, clients: list[Client]) -> None:
        """End the watching of what a client may not watch any more."""
        asked: set[UUID] = set()
        async for client in _breathing(clients):
            asked.update(client.tasks)
        holders = await self._holders(list(asked))
        async for client in _breathing(clients):
            for ticket in list(client.tasks):
                if ticket not in asked:
                    continue  # watched only since the query
                holder = holders.get(ticket)
                if holder and holder.admits(client.watcher):
                    client.tasks[ticket] = holder
                else:
                    client.lose(ticket)


async def _breathing(clients: Iterable[Client]) -> AsyncIterator[Client]:
    for number, client in enumerate(clients, 1):
        yield client
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
