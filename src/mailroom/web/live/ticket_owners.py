"""The owners of tickets, looked up for many sockets in one query."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from mailroom.kit.coalescer import Coalescer
from mailroom.services import Services
from mailroom.tasks.tickets import TicketOwner

MOST = 1_000
"""Rows asked for at once."""


class TicketOwners:
    """After a restart thousands of pages come back in the same second: what they ask at once is one query."""

    def __init__(self, have: Services) -> None:
        self._services = have
        self._together: Coalescer[Sequence[UUID], dict[UUID, TicketOwner]] = Coalescer(self._ask, most=100)

    async def __call__(self, ids: Sequence[UUID]) -> dict[UUID, TicketOwner]:
        """Return the owners of these tickets; unknown ones are left out. Raises `Unavailable`."""
        return await self._together.run(ids)

    async def _ask(self, calls: Sequence[Sequence[UUID]]) -> Sequence[dict[UUID, TicketOwner]]:
        found: dict[UUID, TicketOwner] = {}
        for some in in_batches({task_id for ids in calls for task_id in ids}):
            async with self._services.database.connection() as connection:
                found |= await self._services.tickets.owners(connection, some)
        return [found] * len(calls)


def in_batches(ids: set[UUID]) -> Iterator[list[UUID]]:
    """Return the ids in lists of at most `MOST`."""
    found = list(ids)
    return (found[start : start + MOST] for start in range(0, len(found), MOST))
