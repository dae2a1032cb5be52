"""Wires the web process."""

from quart import Quart

from mailroom.bootstrap.services import create_services, create_tracker
from mailroom.jobs.publisher import Publisher
from mailroom.kit.database import Database
from mailroom.mail.ledger.liveness import new_name
from mailroom.ops.startup import load_or_exit
from mailroom.settings import Settings
from mailroom.statistics.counters import CounterWriter
from mailroom.web.app import create_app
from mailroom.web.live.endpoint import serve_live


def create_web(settings: Settings | None = None) -> Quart:
    """Return the web application, with a poller of its own. Reads the environment where no settings are given."""
    settings = settings or load_or_exit()
    database = Database(settings.database_url, connections=settings.database_connections, name="mailroom web")
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
    counters = CounterWriter(services.counters, database, new_name())

    async def start() -> None:
        tracker.start()
        counters.start()

    async def close() -> None:
        await tracker.stop()
        await results.close()
        publisher.close()
        await counters.close()
        await database.close()

    app.before_serving(start)
    app.after_serving(close)
    return app
