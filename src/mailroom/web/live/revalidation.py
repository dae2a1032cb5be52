"""Sees to it that nobody watches on with a session that ended, or a ticket that is someone else's by now.

Signing out, ending a session, claiming a ticket, beginning a task: each may happen in another process, or in the
shell. So each process asks the database, all its sockets in one question, every few seconds.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from mailroom.accounts.views import Standing
from mailroom.kit.errors import Unavailable
from mailroom.mail.listing import standings
from mailroom.services import Services
from mailroom.web.live.registry import SocketRegistry
from mailroom.web.live.socket import SESSION_ENDED, LiveSocket
from mailroom.web.live.ticket_owners import TicketOwners, in_batches

logger = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two looks at the lists; at sessions and tickets every second time."""
AT_ONCE = 10
"""Sockets looked at before the loop gets to do something else; each may watch a hundred tasks."""


class Revalidation:
    """The loop that asks, over the sockets of `hub`."""

    def __init__(self, hub: SocketRegistry, have: Services, holders: TicketOwners) -> None:
        self._hub, self._services, self._holders = hub, have, holders
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

    async def _repeat(self) -> None:
        for turn in itertools.count():
            await asyncio.sleep(EVERY)
            try:
                await self._lists(list(self._hub.sockets))
                if turn % 2:
                    await self._sessions(list(self._hub.sockets))
                    await self._tickets(list(self._hub.sockets))
            except Unavailable:
                pass  # nothing can be known now; nothing can be changed either
            except Exception:
                logger.exception("sessions of open sockets were not looked at; the next round tries again")

    async def _lists(self, sockets: list[LiveSocket]) -> None:
        """Tell those who watch their list that it has changed."""
        listing = [(socket, socket.watcher.account_id) for socket in sockets if socket.listing is not None]
        found: dict[UUID, str] = {}
        for some in in_batches({owner for _, owner in listing if owner}):
            found |= await standings(self._services.database, some)
        for socket, owner in listing:
            if owner in found:
                socket.tell_list(found[owner])

    async def _sessions(self, sockets: list[LiveSocket]) -> None:
        """Close the sockets of sessions that ended; note who signed in, or may operate no more."""
        standing: dict[UUID, Standing] = {}
        for some in in_batches({socket.session_id for socket in sockets}):
            standing |= await self._services.sessions.standing(some)
        for socket in sockets:
            if now := standing.get(socket.session_id):
                socket.watcher = replace(socket.watcher, account_id=now.account_id, operator=now.is_operator)
            else:
                socket.close(SESSION_ENDED, "the session ended")

    async def _tickets(self, sockets: list[LiveSocket]) -> None:
        """End the watching of what a socket may not watch any more."""
        asked: set[UUID] = set()
        async for socket in _breathing(sockets):
            asked.update(map(UUID, socket.tasks))
        holders = await self._holders(list(asked))
        async for socket in _breathing(sockets):
            for ticket in list(socket.tasks):
                task_id = UUID(ticket)
                if task_id not in asked:
                    continue  # watched since
                holder = holders.get(task_id)
                if holder and holder.admits(socket.watcher):
                    socket.tasks[ticket] = holder
                else:
                    socket.lose(ticket)


async def _breathing(sockets: Iterable[LiveSocket]) -> AsyncIterator[LiveSocket]:
    for number, socket in enumerate(sockets, 1):
        yield socket
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
