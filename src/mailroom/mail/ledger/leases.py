"""The leases one process holds, renewed together while there are any."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

logger = logging.getLogger(__name__)

RENEW_EVERY = 10.0
"""Seconds; a third of the lease, so that two renewals may fail."""
AGAIN_AFTER = 1.0
"""Seconds from a renewal that failed to the next: before the sweep takes the mails of a database outage."""


class Leases:
    """Keeps mails leased from claim to ending."""

    def __init__(self, renew: Callable[[Sequence[tuple[UUID, int]]], Awaitable[None]]) -> None:
        self._renew = renew
        self._held: set[tuple[UUID, int]] = set()
        self._task: asyncio.Task[None] | None = None

    def hold(self, mail_id: UUID, attempt: int) -> None:
        """Renew this mail's lease from now on."""
        self._held.add((mail_id, attempt))
        if self._task is None:
            self._task = asyncio.create_task(self._keep())

    def drop(self, mail_id: UUID, attempt: int) -> None:
        """Renew it no longer; a later attempt of this process at the same mail stays held."""
        self._held.discard((mail_id, attempt))

    async def _keep(self) -> None:
        try:
            renewed = True
            while self._held:
                await asyncio.sleep(RENEW_EVERY if renewed else AGAIN_AFTER)
                if self._held:
                    renewed = await self._renew_all()
        finally:
            self._task = None

    async def _renew_all(self) -> bool:
        try:
            await self._renew(list(self._held))
        except Exception as error:
            # The condition at the handing over guards what a missed renewal would let through.
            logger.warning("leases of %d mails not renewed: %s", len(self._held), error)
            return False
        return True

    def close(self) -> None:
        """Stop renewing; what is still held runs out."""
        if self._task:
            self._task.cancel()
