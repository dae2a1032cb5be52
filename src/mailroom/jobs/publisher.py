"""Publishing: from the row that was committed to a message in the queue, without anyone waiting for Redis."""

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import kombu.transport.redis  # noqa: F401  # else loaded by the publishing thread, while another loads part of it

from mailroom.jobs.app import QUEUE, create_celery
from mailroom.jobs.broker.encoding import Message, written
from mailroom.settings import Settings

logger = logging.getLogger(__name__)

DELIVER = "mailroom.deliver"
SEND_MANY = "mailroom.send_many"
HAS_ROW = "mailroom_row"
"""Header of a message whose task has a row in `tasks`, which its worker begins and ends."""
MOST_WAITING = 256
"""Messages that wait for a frozen Redis; what comes beyond is left to the sweep."""
MANY = 100
"""Mails in one message of a sweep: enough to be cheap, few enough to spread over workers."""


class Publisher:
    """Publishes from a thread with bounded time. A lost message costs nothing but the sweep's delay."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_celery(settings, worker=False)
        """Its connections have time limits; they may be used for what else the broker is asked."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="publish")
        self._waiting: list[Message] = []
        self._draining = False
        self._under_way = 0
        self._lock = threading.Lock()
        self._failing = False

    def publish_mails(self, mail_ids: Sequence[UUID]) -> None:
        """Publish these mails in the background; never blocks, never raises."""
        ids = [str(mail_id) for mail_id in mail_ids]
        if len(ids) == 1:  # the mail's id is the task's: whoever has it can ask Celery for the result
            self._submit([Message(DELIVER, ids[0], ids)])
            return
        batches = (ids[start : start + MANY] for start in range(0, len(ids), MANY))
        self._submit([Message(SEND_MANY, str(uuid4()), [batch], ignore_result=True) for batch in batches])

    def publish_task(self, name: str, task_id: UUID, arguments: Sequence[Any]) -> None:
        """Publish a background task in the background; never blocks, never raises."""
        self._submit([Message(name, str(task_id), arguments, headers={HAS_ROW: True})])

    def __len__(self) -> int:
        """Return how many messages are not published yet."""
        return len(self._waiting) + self._under_way

    def _submit(self, messages: Sequence[Message]) -> None:
        with self._lock:
            self._waiting += messages[: MOST_WAITING - len(self._waiting)]
            if not self._draining:
                with suppress(RuntimeError):  # shutting down
                    self._thread.submit(self._drain)
                    self._draining = True

    def _drain(self) -> None:
        while messages := self._take():
            self._publish(messages)

    def _take(self) -> Sequence[Message]:
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._under_way, self._draining = len(taken), bool(taken)
            return taken

    def _publish(self, messages: Sequence[Message]) -> None:
        """Publish all that waited in one command."""
        try:
            with self._channel() as channel:
                channel.client.lpush(QUEUE, *(written(self.app, channel, message) for message in messages))
            self._failing = False
        except Exception as error:
            if not self._failing:
                logger.warning(
                    "the broker takes no message, the sweep will make up for it: %s", type(error).__name__
                )
            self._failing = True

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        """Lend a connection to the broker that is kept; where the block raises it is replaced."""
        with self.app.producer_pool.acquire(block=True) as producer:
            yield producer.channel

    def close(self) -> None:
        """Give up what still waits; the sweep publishes it again."""
        with self._lock:
            self._waiting.clear()
        self._thread.shutdown(wait=False)
        self.app.close()
