"""Publishing: from the row that was committed to a message in the queue, without anyone waiting for Redis."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from mailroom.jobs.app import QUEUE, configured
from mailroom.settings import Settings

logger = logging.getLogger(__name__)

DELIVER = "mailroom.deliver"
SEND_MANY = "mailroom.send_many"
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
        chunks = [mail_ids] if len(mail_ids) == 1 else _chunks(mail_ids)
        for chunk in chunks:
            if not self._waiting.acquire(blocking=False):
                return
            try:
                self._threads.submit(self._publish, chunk)
            except RuntimeError:  # shutting down
                self._waiting.release()
                return

    def _publish(self, mail_ids: Sequence[UUID]) -> None:
        try:
            ids = [str(mail_id) for mail_id in mail_ids]
            if len(ids) == 1:  # the mail's id is the task's: whoever has it can ask Celery for the result
                self._app.send_task(DELIVER, ids, task_id=ids[0], retry=False)
            else:
                self._app.send_task(SEND_MANY, [ids], retry=False, ignore_result=True)
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


def _chunks(mail_ids: Sequence[UUID]) -> list[Sequence[UUID]]:
    return [mail_ids[start : start + MANY] for start in range(0, len(mail_ids), MANY)]
