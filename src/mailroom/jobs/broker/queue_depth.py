"""How many messages wait in the queues of mails."""

import logging

from celery import Celery

from mailroom.jobs.app import QUEUE, TRANSACTIONAL

logger = logging.getLogger(__name__)


def queue_depth(app: Celery) -> int | None:
    """Return how many messages wait, None if the broker does not answer. Blocks: run it in a thread.

    `app` is a publisher's: its connections have time limits.
    """
    try:
        with app.producer_pool.acquire(block=True) as producer:
            client = producer.channel.client
            return int(client.llen(TRANSACTIONAL)) + int(client.llen(QUEUE))
    except Exception as error:
        logger.debug("the broker does not say how long its queue is: %s", type(error).__name__)
        return None
