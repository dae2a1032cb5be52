"""Messages taken from Redis several at a time.

kombu pops one message (BRPOP), makes a client, and notes the message as unacknowledged in a transaction. Here a
script notes the message that was popped together with those behind it. It notes these before they leave the queue,
so that none of them is lost with a worker that dies in between.

With `batch_ack.py` it makes single mails 2.5 times as fast as kombu's own channel does, at two fifths of the CPU
(`python -m benchmarks.skin --only reading`, decision 22).

Check at an upgrade of kombu: everything that `tests/unit/test_house_internals.py` lists for this file; that
`Transport._callbacks` has one callable for each queue, which gets a message as it lies in Redis; that kombu still
restores what it finds under `unacked_key` (`tests/integration/jobs/test_broker.py`,
`tests/faults/test_valkey.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from time import time
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.json import dumps, loads

SHARE = 4
"""At most a fourth of the waiting messages is taken at once, so that other workers get their part of a short
queue."""

TAKE = """
local function note_of(raw)
    local properties = cjson.decode(raw).properties
    local way = properties.delivery_info
    local note = {raw, cjson.encode(way.exchange), cjson.encode(way.routing_key)}
    return properties.delivery_tag, '[' .. table.concat(note, ',') .. ']'
end
local function note(tag, message)
    redis.call('ZADD', KEYS[2], ARGV[1], tag)
    redis.call('HSET', KEYS[3], tag, message)
end
note(ARGV[2], ARGV[3])
local most = math.min(ARGV[4], math.floor(redis.call('LLEN', KEYS[1]) / ARGV[5]))
local taken = {}
if most > 0 then
    local waiting = redis.call('LRANGE', KEYS[1], -most, -1)
    for place = #waiting, 1, -1 do
        local whole, tag, message = pcall(note_of, waiting[place])
        if not (whole and tag) then break end
        note(tag, message)
        taken[#taken + 1] = waiting[place]
    end
    redis.call('LTRIM', KEYS[1], 0, -#taken - 1)
end
return taken
"""
"""Notes a message that was popped, then others of its list before it pops them, and returns these. It leaves a
message that cannot be read in the list: once that is popped, kombu handles it in its own way."""

Raw = dict[str, Any]
"""A message as it lies in Redis."""


class QoS(redis.QoS):
    """What the consumer has in hand. Its notes in Redis have kombu's own form, so that kombu can restore them."""

    def take(self, first: Raw, waiting: str) -> list[Raw]:
        """Note `first`, which was popped, and as many of the list `waiting` as have room; return them all."""
        room = max((self.can_consume_max_estimate() or 1) - 1, 0)
        tag, way = first["properties"]["delivery_tag"], first["properties"]["delivery_info"]
        more = self._take(
            keys=[waiting, self.unacked_index_key, self.unacked_key],
            args=[time(), tag, dumps([first, way["exchange"], way["routing_key"]]), room, SHARE],
        )
        taken = [first, *map(loads, more)]
        for message in taken:  # in hand from here on: if one of them fails, the others are restored
            virtual.QoS.append(self, None, message["properties"]["delivery_tag"])
        return taken

    def append(self, message: Any, delivery_tag: str) -> None:
        """Have this message in hand; note it in Redis unless `take` did."""
        if delivery_tag in self._delivered:
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget this message in Redis and in hand. Raises if Redis fails; in hand it is forgotten anyway."""
        try:
            super().ack(delivery_tag)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    @cached_property
    def _take(self) -> Any:
        with self.channel.conn_or_acquire() as client:
            return client.register_script(TAKE)


class Channel(redis.Channel):
    """Delivers a popped message together with those behind it, and keeps its client."""

    QoS = QoS

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **options: Any) -> None:
        """Consume from this queue, as kombu does."""
        super().basic_consume(queue, no_ack, *args, **options)
        if not no_ack and queue not in self._fanout_queues:
            callbacks = self.connection._callbacks  # noqa: SLF001  # the only place that has them by queue
            callbacks[queue] = self._with_those_behind(queue, callbacks[queue])

    def _with_those_behind(self, queue: str, deliver: Callable[[Raw], None]) -> Callable[[Raw], None]:
        def deliver_all(first: Raw) -> None:
            priority = self._get_message_priority(first, reverse=False)
            for message in self.qos.take(first, self._q_for_pri(queue, priority)):
                deliver(message)

        return deliver_all

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Yield `client`, or the one that is kept."""
        yield client or self._kept

    @cached_property
    def _kept(self) -> Any:
        return self._create_client()
