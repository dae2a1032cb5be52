"""What lives in a worker process's loop."""

import asyncio
from dataclasses import dataclass

from mailroom.jobs.publisher import Publisher
from mailroom.jobs.sweep import Sweep
from mailroom.jobs.task_leases import TaskLeases
from mailroom.mail.delivery.deliverer import Deliverer
from mailroom.mail.ledger.liveness import Liveness
from mailroom.progress.reporter import Reporter
from mailroom.services import Services


@dataclass(frozen=True, slots=True)
class Runtime:
    """The services a task may use, as a web request has them, and what sends mail."""

    services: Services
    delivery: Deliverer
    sweep: Sweep
    holding: TaskLeases
    reporter: Reporter
    queue: Publisher
    presence: Liveness

    async def start(self) -> None:
        """Be known to live, begin to sweep, and to connect to the mail server."""
        await self.presence.start()
        self.sweep.start()
        self.holding.start()
        self.delivery.warm()

    async def stop(self) -> None:
        """Claim nothing new; let what is on its way end, within 25 seconds."""
        self.sweep.stop()
        await self.delivery.stop()

    async def close(self) -> None:
        """Store what was reported last and close every connection."""
        self.sweep.stop()
        await self.holding.close()
        await asyncio.to_thread(self.reporter.close)
        await self.delivery.close()
        self.queue.close()
        await self.presence.close()
        await self.services.database.close()
