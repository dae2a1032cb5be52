"""Beginning a background task to be watched: its ticket in the caller's transaction, its message after."""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.progress.tickets import Tickets


class Begin(Protocol):
    """Hand a task to the workers. Never blocks, never raises; the message may be lost."""

    def __call__(self, name: str, task_id: UUID, arguments: Sequence[Any]) -> None:
        """Publish in the background."""


class Background:
    """Begins tasks other than mails. What must not get lost with a message needs a row of its own."""

    def __init__(self, tickets: Tickets, begin: Begin) -> None:
        self._tickets = tickets
        self._begin = begin

    async def start(
        self,
        work: UnitOfWork,
        name: str,
        *arguments: Any,
        title: str,
        session_id: UUID | None = None,
        owner_id: UUID | None = None,
    ) -> UUID:
        """Open a ticket for the Celery task `name` and publish it once `work` is committed; return the ticket.

        `arguments` must be fit for JSON and hold nothing secret; `title` is what its watchers read.
        """
        task_id = new_id()
        await self._tickets.open(work, task_id, title, session_id=session_id, owner_id=owner_id)
        work.after_commit(lambda: self._begin(name, task_id, arguments))
        return task_id
