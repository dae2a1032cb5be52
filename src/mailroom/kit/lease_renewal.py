"""Leases on rows, renewed by the process that holds them: all together, for as long as it holds any.

A lease is a time in a row until which nobody else may take the row. A process that ends, freezes or loses its
database stops renewing; the lease runs out and another process takes the row.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

RENEW_EVERY = 10.0
"""Seconds between two renewals. A lease lasts at least three times as long, so that two renewals may fail."""
AGAIN_AFTER = 1.0
"""Seconds from a renewal that failed to the next one. A sweep waits longer than this after a database outage."""

Lease = TypeVar("Lease", bound=Hashable)


class LeaseRenewal(Generic[Lease]):
    """Renews every lease that is held, in one call of `renew`.

    A lease names a row and the attempt at it, so that the end of an old attempt does not drop the lease of a newer
    one. What `renew` raises is logged, with `rows` ("mails", say), and the next call comes sooner.
    """

    def __init__(
        self,
        renew: Callable[[Sequence[Lease]], Awaitable[object]],
        *,
        rows: str,
        every: float = RENEW_EVERY,
        again_after: float = AGAIN_AFTER,
    ) -> None:
        self._renew = renew
        self._rows = rows
        self._every = every
        self._again_after = again_after
        self._held: set[Lease] = set()
        self._task: asyncio.Task[None] | None = None

    def hold(self, lease: Lease) -> None:
        """Renew this lease from now on. Call it in the running loop."""
        self._held.add(lease)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"leases of {self._rows}")

    def drop(self, lease: Lease) -> None:
        """Renew it no longer."""
        self._held.discard(lease)

    def close(self) -> None:
        """Stop renewing; the leases that are still held run out."""
        if self._task:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            renewed = True
            while self._held:
                await asyncio.sleep(self._every if renewed else self._again_after)
                if self._held:
                    renewed = await self._renew_all()
        finally:
            self._task = None

    async def _renew_all(self) -> bool:
        try:
            await self._renew(list(self._held))
        except Exception as error:
            # A write under a lease checks the lease in the same statement: a missed renewal lets nothing through.
            logger.warning("leases of %d %s not renewed: %s", len(self._held), self._rows, error)
            return False
        return True
