"""Mails from the queue straight into the event loop: no thread, no request and no result of Celery's for each.

Celery takes most of its time for a task with what a mail has no use for: a thread to wait in, a result (the
mail's own reports are that), a trace. Its consumer offers the door used here, a task's strategy: what to do
with a message. Prefetching limits how many mails a process has in hand; a message is acknowledged when its
mail has come as far as it goes now, which makes room for the next.
"""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery import Task
from celery.exceptions import InvalidTaskError

from mailroom.jobs.broker.batch_ack import BatchAcknowledger
from mailroom.jobs.loop import WorkerLoop
from mailroom.jobs.runtime import Runtime
from mailroom.kit.errors import Unavailable

logger = logging.getLogger(__name__)

Strategy = Callable[..., None]


class MailStrategy(Task):  # type: ignore[misc]  # Celery ships no types
    """Base of the task of one mail; where its door does not open, the task runs as any other."""

    abstract = True
    loop: WorkerLoop[Runtime]

    def start_strategy(self, app: Any, consumer: Any, **options: Any) -> Strategy:
        """Return what the consumer does with a message of this task."""
        usual: Strategy = super().start_strategy(app, consumer, **options)
        # Forked pools run their loop in another process; greenlets have no hub that other threads may call;
        # whoever listens to Celery's events wants every task told; and only of Redis' messages it is known how to
        # acknowledge many.
        if (
            consumer.hub is None
            or consumer.connection.transport.driver_type != "redis"
            or _tells_of_tasks(consumer.event_dispatcher)
            or "prefork" in type(consumer.pool).__module__
        ):
            return usual
        revoked, acknowledge = consumer.controller.state.revoked, BatchAcknowledger(consumer)

        def take(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> None:
            headers = message.headers
            if headers.get("eta") or headers.get("expires") or headers.get("id") in revoked:
                usual(message, body, ack, reject, callbacks, **more)
                return
            try:
                mail_id = UUID(message.payload[0][0])
            except (LookupError, TypeError, ValueError) as error:
                raise InvalidTaskError("a mail's message names its id") from error
            self.loop.begin(lambda living: _carry(living, mail_id, lambda: acknowledge(message)))

        return take


def _tells_of_tasks(dispatcher: Any) -> bool:
    """Return whether Celery tells of tasks (-E). The worker's own events, its heartbeat say, are mostly on."""
    return bool(dispatcher and dispatcher.enabled and (not dispatcher.groups or "task" in dispatcher.groups))


async def _carry(living: Runtime, mail_id: UUID, ack: Callable[[], object]) -> None:
    try:
        await living.deliverer.deliver(mail_id)
    except Unavailable:
        pass  # the sweep asks again once the database is back
    except Exception:
        logger.exception("mail %s stopped on its way; its lease brings it back", mail_id)
    if not living.deliverer.stopping:  # else its message goes back to the queue, for another worker to look
        ack()
