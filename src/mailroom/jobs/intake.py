"""What an operator asks of a worker: to take on nothing more (drain), to go on, to stop.

Check at an upgrade of Celery: `Consumer.cancel_task_queue`, `Consumer.add_task_queue`, `Queues.select`, and that
`Consumer.call_soon` runs in the consumer's own thread (`tests/browser/test_desk_overview.py`).
"""

import logging
import os
import signal

from celery import Celery

from mailroom.jobs.app import QUEUES
from mailroom.mail.delivery.deliverer import Deliverer

logger = logging.getLogger(__name__)


class Intake:
    """Opens and closes the ways by which work comes to this process."""

    def __init__(self, app: Celery, deliverer: Deliverer) -> None:
        self._app = app
        self._deliverer = deliverer

    def follow(self, wish: str | None) -> None:
        """Do what an operator asks: ``drain``, ``stop``, or None to go on."""
        logger.warning("an operator asks this worker to %s", wish or "go on")
        if wish == "stop":  # as a host would: mails in hand end within STOP_SECONDS
            os.kill(os.getpid(), signal.SIGTERM)
            return
        self._deliverer.draining = wish == "drain"
        consumer = getattr(self._app, "intake", None)
        if consumer is None:  # Celery has not begun to consume
            return
        if not self._deliverer.draining:
            self._app.amqp.queues.select(QUEUES)  # also after the next connection
        change = consumer.cancel_task_queue if self._deliverer.draining else consumer.add_task_queue
        for queue in QUEUES:
            consumer.call_soon(change, queue)
