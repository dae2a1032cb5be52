"""The parts of a worker process that run in its event loop."""

import asyncio
from dataclasses import dataclass

from mailroom.desk.alerts.watch import AlertWatch
from mailroom.desk.processes.register import Registration
from mailroom.jobs.publisher import Publisher
from mailroom.jobs.sweep import Sweep
from mailroom.jobs.task_leases import TaskLeases
from mailroom.kit.tracing import Tracing
from mailroom.mail.delivery.deliverer import Deliverer
from mailroom.mail.ledger.liveness import Liveness
from mailroom.progress.reporter import Reporter
from mailroom.services import Services
from mailroom.statistics.counters import CounterWriter
from mailroom.webhooks.sender import WebhookSender


@dataclass(frozen=True, slots=True)
class Runtime:
    """The services a task may use, as a web request has them, and the parts that send mail and run tasks."""

    services: Services
    deliverer: Deliverer
    sweep: Sweep
    task_leases: TaskLeases
    reporter: Reporter
    publisher: Publisher
    liveness: Liveness
    webhooks: WebhookSender
    counters: CounterWriter
    registration: Registration
    alerts: AlertWatch
    traces: Tracing | None = None
    """None if nothing is traced."""

    async def start(self) -> None:
        """Take the lock that shows that this worker is alive, begin to sweep, and connect to the mail server."""
        await self.liveness.start()
        self.sweep.start()
        self.task_leases.start()
        self.webhooks.start()
        self.counters.start()
        self.registration.start()
        self.alerts.start()
        self.deliverer.warm()

    async def stop(self) -> None:
        """Claim nothing new; let mails that are on their way end, within `StopTimes.recorded`."""
        self.sweep.stop()
        await self.webhooks.stop()
        await self.deliverer.stop()

    async def close(self) -> None:
        """Store the last reports and close every connection."""
        self.sweep.stop()
        await self.webhooks.stop()
        await self.task_leases.close()
        await asyncio.to_thread(self.reporter.close)
        await self.deliverer.close()
        self.publisher.close()
        await self.alerts.close()
        await self.counters.close()
        await self.registration.close()
        await self.liveness.close()
        await self.services.database.close()
        if self.traces:
            await asyncio.to_thread(self.traces.close)
