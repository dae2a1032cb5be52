"""Wires the submission process: SMTP in, for other programs."""

import asyncio
import socket

import uvloop

from mailroom.bootstrap.services import create_services
from mailroom.desk.processes.register import Registration
from mailroom.desk.processes.surroundings import Surroundings
from mailroom.jobs.publisher import Publisher
from mailroom.mail.ledger.liveness import new_name
from mailroom.ops.observability.tracing import start_tracing
from mailroom.settings import Settings
from mailroom.statistics.counters import CounterWriter
from mailroom.submission.handler import SubmissionHandler
from mailroom.submission.listener import Listener


def run_submission(settings: Settings, listening: socket.socket) -> int:
    """Serve SMTP submission on a bound socket until stopped; return the exit code."""
    uvloop.run(_serve(settings, listening))
    return 0


async def _serve(settings: Settings, listening: socket.socket) -> None:
    publisher = Publisher(settings)
    services = create_services(
        settings,
        publisher.publish_mails,
        publisher.publish_task,
        name="mailroom submission",
        wake_bulk=publisher.wake_bulk,
    )
    handler = SubmissionHandler(
        services.api_keys,
        services.acceptance,
        services.key_refusals,
        hostname=settings.ehlo_name.strip("[]"),
        domain=settings.sender.address.rpartition("@")[2],
    )
    name, traces = new_name(), start_tracing(settings, "submission")
    counters = CounterWriter(services.counters, services.database, name)
    registration = Registration(services.database, name, "submission", surroundings=Surroundings(settings))
    counters.start()
    registration.start()
    try:
        await Listener(handler, settings).serve(listening)
    finally:
        await asyncio.to_thread(publisher.close)
        await counters.close()
        await registration.close()
        await services.database.close()
        if traces:
            await asyncio.to_thread(traces.close)
