"""Publishing: from the row that was committed to a message in the queue, without anyone waiting for Redis."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from mailroom.jobs.app import QUEUE, configured
from mailroom.settings import Settings

logger = logging.getLogger(__name__)

DELIVER = "mailroom.deliver"
SEND_MANY = "mailroom.send_many"
HAS_ROW = "mailroom_row"
"""Header of a message whose task has a row in `tasks`, which its worker begins and ends."""
THREADS = 4
MOST_WAITING = 256
"""Messages that wait for a frozen Redis; what comes beyond is left to the sweep."""
MANY = 100
"""Mails in one message of a sweep: enough to be cheap, few enough to spread over workers."""


class Queue:
    """Publishes on a few threads with bounded time. A lost message costs nothing but the sweep's delay."""

    def __init__(self, settings: Settings) -> None:
        self._app = configured(settings, worker=False)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="publish")
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._failing = False

    def __call__(self, mail_ids: Sequence[UUID]) -> None:
        """Publish these mails in the background; never blocks, never raises."""
        ids = [str(mail_id) for mail_id in mail_ids]
        if len(ids) == 1:  # the mail's id is the task's: whoever has it can ask Celery for the result
            self._submit(DELIVER, ids, task_id=ids[0])
            return
        for start in range(0, len(ids), MANY):
            self._submit(SEND_MANY, [ids[start : start + MANY]], ignore_result=True)

    def begin(self, name: str, task_id: UUID, arguments: Sequence[Any]) -> None:
        """Publish a background task in the background; never blocks, never raises."""
        self._submit(name, arguments, task_id=str(task_id), headers={HAS_ROW: True})

    def _submit(self, name: str, arguments: Sequence[Any], **options: Any) -> None:
        if not self._waiting.acquire(blocking=False):
            return
        try:
            self._threads.submit(self._publish, name, arguments, options)
        except RuntimeError:  # shutting down
            self._waiting.release()

    def _publish(self, name: str, arguments: Sequence[Any], options: dict[str, Any]) -> None:
        try:
            self._app.send_task(name, arguments, retry=False, **options)
            self._failing = False
        except Exception as error:
            if not self._failing:
                logger.warning(
                    "the broker takes no message, the sweep will make up for it: %s", type(error).__name__
                )
            self._failing = True
        finally:
            self._waiting.release()

    def depth(self) -> int | None:
        """Return how many messages wait, None where the broker does not say. Blocks: run it in a thread."""
        try:
            with self._app.connection_for_read() as connection:
                return int(connection.default_channel.client.llen(QUEUE))
        except Exception as error:
            logger.debug("the broker does not say how long its queue is: %s", type(error).__name__)
            return None

    def close(self) -> None:
        """Give up what still waits; the sweep publishes it again."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._app.close()
