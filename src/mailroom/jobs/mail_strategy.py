"""Mails from the queue straight into the event loop, without a thread, a request or a result of Celery's.

Celery spends most of its time for a task on things that a mail does not need: a thread to wait in, a result (the
mail's reports replace it), a trace. Celery's consumer lets a task say what to do with its messages: the task's
strategy. Prefetching limits how many mails a process has in hand. A message is acknowledged when its mail has come
as far as it goes for now, which makes room for the next one.

It gives most of a worker's throughput with single mails (decision 17; `python -m benchmarks --only singles`).

Check at an upgrade of Celery: `Task.start_strategy` and the arguments of the function that it returns, in
`celery/worker/strategy.py`; that the consumer's thread runs what `Consumer.call_soon` is given.
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
    """Base of the task of one mail. If the loop cannot be reached, the task runs like any other."""

    abstract = True
    loop: WorkerLoop[Runtime]

    def start_strategy(self, app: Any, consumer: Any, **options: Any) -> Strategy:
        """Return what the consumer does with a message of this task."""
        usual: Strategy = super().start_strategy(app, consumer, **options)
        # Forked pools run their loop in another process. Greenlets have no hub that other threads may call.
        # Listeners to Celery's events expect them for every task. And only Redis' messages can be acknowledged in
        # batches.
        if (
            consumer.hub is None
            or consumer.connection.transport.driver_type != "redis"
            or _sends_task_events(consumer.event_dispatcher)
            or "prefork" in type(consumer.pool).__module__
        ):
            return usual
        revoked, acknowledge = consumer.controller.state.revoked, BatchAcknowledger(consumer).acknowledge

        def take(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> None:
            headers = message.headers
            if headers.get("eta") or headers.get("expires") or headers.get("id") in revoked:
                usual(message, body, ack, reject, callbacks, **more)
                return
            try:
                mail_id = UUID(message.payload[0][0])
            except (LookupError, TypeError, ValueError) as error:
                raise InvalidTaskError("a mail's message names its id") from error
            self.loop.spawn(lambda runtime: _deliver(runtime, mail_id, lambda: acknowledge(message)))

        return take


def _sends_task_events(dispatcher: Any) -> bool:
    """Return whether Celery sends events of tasks (-E). The worker itself sends events, too: heartbeats."""
    return bool(dispatcher and dispatcher.enabled and (not dispatcher.groups or "task" in dispatcher.groups))


async def _deliver(runtime: Runtime, mail_id: UUID, acknowledge: Callable[[], object]) -> None:
    try:
        await runtime.deliverer.deliver(mail_id)
    except Unavailable:
        pass  # the sweep publishes again once the database is back
    except Exception:
        logger.exception("mail %s stopped on its way; its lease brings it back", mail_id)
    if not runtime.deliverer.stopping:  # otherwise its message goes back to the queue, for another worker
        acknowledge()
