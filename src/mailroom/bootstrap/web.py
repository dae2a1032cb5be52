"""Wires the web process."""

import asyncio

from quart import Quart

from mailroom.accounts.passwords.guesses import load_lists
from mailroom.bootstrap.alerts import create_watch
from mailroom.bootstrap.services import create_database, create_services, create_tracker
from mailroom.desk.processes.register import Registration
from mailroom.desk.processes.surroundings import Surroundings
from mailroom.jobs.publisher import Publisher
from mailroom.mail.ledger.liveness import new_name
from mailroom.ops.observability.tracing import start_tracing
from mailroom.ops.startup import exit_on_problems, load_or_exit
from mailroom.settings import Settings
from mailroom.statistics.counters import CounterWriter
from mailroom.web.app import create_app
from mailroom.web.live.endpoint import serve_live


def create_web(settings: Settings | None = None) -> Quart:
    """Return the web application, with a poller of its own. Raises `SettingsError` if an app cannot be loaded.

    If no settings are given, it reads the environment, and ends the program if that cannot be used.
    """
    if settings is None:
        with exit_on_problems():
            return create_web(load_or_exit())
    database = create_database(settings, name="mailroom web")
    publisher = Publisher(settings)
    tracker, results = create_tracker(settings, database)
    services = create_services(
        settings,
        publisher.publish_mails,
        publisher.publish_task,
        name="mailroom web",
        wake_bulk=publisher.wake_bulk,
        tracker=tracker,
        database=database,
    )
    app = create_app(services)
    serve_live(app)
    traces = start_tracing(settings, "web")
    if traces:
        from mailroom.web.tracing import trace_requests  # OpenTelemetry is loaded only if it is on

        trace_requests(app, traces)
    name = new_name()
    counters = CounterWriter(services.counters, database, name)
    registration = Registration(database, name, "web", surroundings=Surroundings(settings, public=True))

    alerts = create_watch(settings, database, services.counters)

    async def start() -> None:
        load_lists()  # now, and not while the first people sign up: a crowd of them would wait for it
        tracker.start()
        counters.start()
        registration.start()
        alerts.start()

    async def close() -> None:
        await tracker.stop()
        await results.close()
        publisher.close()
        await alerts.close()
        await counters.close()
        await registration.close()
        await services.provider_sign_ins.close()
        await database.close()
        if traces:
            await asyncio.to_thread(traces.close)

    app.before_serving(start)
    app.after_serving(close)
    return app
