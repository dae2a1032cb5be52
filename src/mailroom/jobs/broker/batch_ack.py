"""Messages acknowledged together: one by one that takes Celery's consumer a third of its time for a mail."""

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
"""With a fourth of what the consumer may have in hand waiting, it waits no longer: that is room for new ones."""


class BatchAcknowledger:
    """Acknowledges what one consumer has taken from Redis. Call it in the event loop."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._most = max(1, consumer.initial_prefetch_count // SHARE)
        self._done: list[Any] = []
        self._alarm: asyncio.TimerHandle | None = None

    def __call__(self, message: Any) -> None:
        """Have this message acknowledged soon. Should the worker end before that, it comes once more."""
        self._done.append(message)
        if len(self._done) >= self._most:
            self._pass_on()
        elif self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(GATHER, self._pass_on)

    def _pass_on(self) -> None:
        if self._alarm:
            self._alarm.cancel()
        messages, self._done, self._alarm = self._done, [], None
        self._consumer.call_soon(self._acknowledge, messages)

    def _acknowledge(self, messages: Sequence[Any]) -> None:
        """Forget the messages in Redis, then in the count of what is in hand; in the consumer's thread.

        Also where Redis could not be told: counted for ever, they would take the room of others, until none is
        left. Redis gives them out once more after the visibility timeout, when their mails are past claiming.
        """
        qos = messages[-1].channel.qos
        tags = [message.delivery_tag for message in messages]
        try:
            with qos.pipe_or_acquire() as pipe:
                pipe.zrem(qos.unacked_index_key, *tags).hdel(qos.unacked_key, *tags).execute()
        except (*self._consumer.connection_errors, RedisError) as error:  # gone, or there and refusing
            logger.warning("%d messages will come once more: %s", len(messages), type(error).__name__)
        finally:
            for message in messages:
                virtual.QoS.ack(message.channel.qos, message.delivery_tag)
