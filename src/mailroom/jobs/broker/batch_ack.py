"""Messages acknowledged together, in one command to Redis.

kombu acknowledges one message at a time, in a transaction, in the consumer's thread. `channel.py` says what both
files gain.

Check at an upgrade: `QoS.pipe_or_acquire` and the two keys of kombu's QoS; `initial_prefetch_count`, `call_soon`
and `connection_errors` of Celery's consumer (`tests/integration/jobs/test_mail_strategy.py`).
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from kombu.transport import virtual
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

GATHER = 0.05
"""Seconds a message waits for others to be acknowledged with."""
SHARE = 4
"""Once a fourth of what the consumer may have in hand waits, all are acknowledged, which makes room for others."""


class BatchAcknowledger:
    """Acknowledges messages of one consumer. Call it in the event loop."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._most = max(1, consumer.initial_prefetch_count // SHARE)
        self._waiting: list[Any] = []
        self._timer: asyncio.TimerHandle | None = None

    def acknowledge(self, message: Any) -> None:
        """Acknowledge this message soon. If the worker ends before that, the message comes once more."""
        self._waiting.append(message)
        if len(self._waiting) >= self._most:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._flush)

    def _flush(self) -> None:
        if self._timer:
            self._timer.cancel()
        messages, self._waiting, self._timer = self._waiting, [], None
        self._consumer.call_soon(self._acknowledge_all, messages)

    def _acknowledge_all(self, messages: Sequence[Any]) -> None:
        """Forget the messages in Redis, then in the count of those in hand; in the consumer's thread.

        They leave the count even if Redis fails: otherwise they would take the room of others for ever. Redis then
        delivers them again after the visibility timeout, when nobody can claim their mails any more.
        """
        qos = messages[-1].channel.qos
        tags = [message.delivery_tag for message in messages]
        try:
            with qos.pipe_or_acquire() as pipe:
                pipe.zrem(qos.unacked_index_key, *tags).hdel(qos.unacked_key, *tags).execute()
        except (*self._consumer.connection_errors, RedisError) as error:  # Redis is away, or refuses
            logger.warning("%d messages will come once more: %s", len(messages), type(error).__name__)
        finally:
            for message in messages:
                virtual.QoS.ack(message.channel.qos, message.delivery_tag)
