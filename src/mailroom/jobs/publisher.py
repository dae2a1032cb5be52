"""Publishing: from a committed row to a message in the queue, without making anyone wait for Redis."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4

import kombu.transport.redis  # noqa: F401  # else two threads would load it at once

from mailroom.jobs.app import BULK, QUEUE, TRANSACTIONAL, create_celery
from mailroom.jobs.broker.encoding import TaskMessage, encode
from mailroom.jobs.broker.failback import LOOK_EVERY, answers, leads_to
from mailroom.settings import Settings

logger = logging.getLogger(__name__)

DELIVER = "mailroom.deliver"
SEND_MANY, SEND_BULK = "mailroom.send_many", "mailroom.send_bulk"
QUEUES_OF = {DELIVER: TRANSACTIONAL, SEND_MANY: TRANSACTIONAL, SEND_BULK: BULK}
HAS_ROW = "mailroom_row"
"""Header of a message whose task has a row in `tasks`; the worker begins and ends the task there."""
AT_ONCE = 500
"""Messages in one command to Redis: others wait for Redis meanwhile, a millisecond or two."""
KEPT_WHILE_AWAY = 256
"""Messages kept while Redis takes none; the sweep publishes the others once it does."""
MANY = 100
"""Mails in one message of a sweep: enough to be cheap, few enough to spread over workers."""


def queue_of(message: TaskMessage) -> str:
    """Return the queue that a message goes to."""
    return QUEUES_OF.get(message.name, QUEUE)


class Publisher:
    """Publishes from a thread of its own, in the order it was asked; each command to Redis has a time limit.

    While Redis takes messages, all of them wait their turn, however many come at once (a group of thousands).
    While it takes none, most are dropped: the sweep publishes what a row still waits for.
    """

    def __init__(self, settings: Settings) -> None:
        self.app = create_celery(settings, worker=False)
        """Its connections have time limits; other commands to the broker may use them, too."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="publish")
        self._waiting: list[TaskMessage] = []
        self._draining = False
        self._under_way = 0
        self._lock = threading.Lock()
        self._failing = False
        self._brokers = settings.broker.split(";")
        self._look_at = 0.0

    def publish_mails(self, mail_ids: Sequence[UUID]) -> None:
        """Publish these mails in the background; never blocks, never raises."""
        ids = [str(mail_id) for mail_id in mail_ids]
        if len(ids) == 1:  # the task's id is the mail's, so that Celery can be asked for the result
            self._submit([TaskMessage(DELIVER, ids[0], ids)])
            return
        batches = (ids[start : start + MANY] for start in range(0, len(ids), MANY))
        self._submit([TaskMessage(SEND_MANY, str(uuid4()), [batch], ignore_result=True) for batch in batches])

    def wake_bulk(self) -> None:
        """Have a worker claim mails of the bulk stream; never blocks, never raises."""
        self._submit([TaskMessage(SEND_BULK, str(uuid4()), [], ignore_result=True)])

    def publish_task(self, name: str, task_id: UUID, arguments: Sequence[Any]) -> None:
        """Publish a background task in the background; never blocks, never raises."""
        self._submit([TaskMessage(name, str(task_id), arguments, headers={HAS_ROW: True})])

    def __len__(self) -> int:
        """Return how many messages are not published yet."""
        return len(self._waiting) + self._under_way

    def _submit(self, messages: Sequence[TaskMessage]) -> None:
        with self._lock:
            self._waiting += messages[: KEPT_WHILE_AWAY - len(self._waiting)] if self._failing else messages
            if not self._draining:
                with suppress(RuntimeError):  # shutting down
                    self._thread.submit(self._drain)
                    self._draining = True

    def _drain(self) -> None:
        while messages := self._take():
            self._publish(messages)

    def _take(self) -> Sequence[TaskMessage]:
        with self._lock:
            taken, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            self._under_way, self._draining = len(taken), bool(taken)
            return taken

    def _publish(self, messages: Sequence[TaskMessage]) -> None:
        try:
            with self.app.producer_pool.acquire(block=True) as producer:  # replaced if the block raises
                self._return_to_the_first(producer)
                channel = producer.channel
                for queue, some in groupby(messages, key=queue_of):
                    channel.client.lpush(queue, *(encode(self.app, channel, message, queue) for message in some))
            self._failing = False
        except Exception as error:
            if not self._failing:
                logger.warning("the broker takes no message; the sweep publishes later: %s", type(error).__name__)
            with self._lock:
                self._failing = True
                del self._waiting[KEPT_WHILE_AWAY:]

    def _return_to_the_first(self, producer: Any) -> None:
        """After a failover, lead a connection back to the first broker once it answers: workers go back, too."""
        if leads_to(producer.connection, self._brokers[0]) or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_EVERY
        if answers(self._brokers[0]):
            producer.connection.switch(self._brokers[0])
            producer.revive(producer.connection)

    def close(self) -> None:
        """Give up what still waits; the sweep publishes it again."""
        with self._lock:
            self._waiting.clear()
        self._thread.shutdown(wait=False)
        self.app.close()
