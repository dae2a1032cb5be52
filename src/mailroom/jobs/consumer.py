"""Celery's consumer, with what it lacks for a broker that was away, and for several brokers.

What is overridden, and why:

- `ensure_connected`: Celery waits longer for each try to reach the broker, up to 30 seconds; mails would leave 30
  seconds after Redis is back. Here the waits end at `LONGEST_PAUSE`.
- After a failover Celery stays with the second broker for good, while new processes publish to the first. Here a
  worker looks every `LOOK_EVERY` seconds whether the first one answers again, moves the messages that are still in
  the others, and goes back: it ends its own connection, and Celery makes a new one, which begins with the first.

Check at an upgrade of Celery: `Consumer.ensure_connected` calls `ensure_connection` of the connection, and a lost
connection that is raised in the hub restarts the consumer (`tests/journeys/test_brokers.py`).
"""

import logging
import threading
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer
from redis import ConnectionError as RedisConnectionError

from mailroom.jobs.broker.failback import LOOK_EVERY, answers, leads_to, take_over

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 3.0
"""Seconds between two tries to reach a broker."""


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery ships no types
    """A consumer that comes back soon, and to the first broker."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._brokers: list[str] = [url for url in str(self.app.conf.broker_url).split(";") if url]
        self._looking: threading.Thread | None = None
        self._stopped = threading.Event()
        self.app.intake = self  # for `jobs/intake.py`

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection once it is made; the waits between two tries stay short."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=0.5, interval_step=0.5, interval_max=LONGEST_PAUSE
        )
        connection = super().ensure_connected(conn)
        if len(self._brokers) > 1 and self._looking is None:
            self._looking = threading.Thread(target=self._look, name="first broker", daemon=True)
            self._looking.start()
        return connection

    def stop(self) -> None:
        """Stop consuming, for good."""
        self._stopped.set()
        super().stop()

    def _look(self) -> None:
        while not self._stopped.wait(LOOK_EVERY):
            try:
                self._look_once()
            except Exception as error:
                logger.debug("the first broker was not asked: %s", type(error).__name__)

    def _look_once(self) -> None:
        first, connection, hub = self._brokers[0], self.connection, self.hub
        if connection is None or hub is None or not connection.connected:
            return
        if leads_to(connection, first):
            take_over(first, self._brokers[1:])  # publishers may go back a little later
        elif answers(first):
            logger.warning("the first broker answers again; this worker goes back to it")
            hub.call_soon(_leave)


def _leave() -> None:
    raise RedisConnectionError("this worker goes back to the first broker")
