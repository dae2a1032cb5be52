"""The return to the first of several brokers: whether it answers, and which messages are still in the others.

Messages that a failover left in the other brokers are moved, so that none stay in a broker without consumers.
"""

from typing import Any
from urllib.parse import urlsplit

import redis

from mailroom.jobs.app import QUEUES

PORT = 6379
LOOK_EVERY = 5.0
"""Seconds between two checks whether the first of several brokers answers again."""
PATIENCE = 2.0
"""Seconds for a broker to answer."""
AT_ONCE = 100
MOVING = "mailroom:moving"
"""Key in a broker that is being emptied: one process does it at a time."""
MOVING_SECONDS = 30


def leads_to(connection: Any, url: str) -> bool:
    """Tell whether a connection of kombu leads to the broker of this address."""
    parts = urlsplit(url)
    return (connection.hostname, connection.port or PORT) == (parts.hostname, parts.port or PORT)


def answers(url: str) -> bool:
    """Tell whether a broker takes commands."""
    try:
        with _client(url) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError):
        return False


def take_over(first: str, others: list[str]) -> int:
    """Move the messages in those of the other brokers that answer to the first; return how many messages.

    A message is in the first before it leaves the other: if this process ends in between, it is delivered twice,
    which a claim makes harmless.
    """
    moved = 0
    for other in others:
        try:
            with _client(first) as to, _client(other) as source:
                if not source.set(MOVING, "1", nx=True, ex=MOVING_SECONDS):
                    continue
                try:
                    moved += sum(_move(source, to, queue) for queue in QUEUES)
                finally:
                    source.delete(MOVING)
        except (redis.RedisError, OSError):
            continue
    return moved


def _move(source: "redis.Redis", to: "redis.Redis", queue: str) -> int:
    moved = 0
    while messages := source.lrange(queue, -AT_ONCE, -1):  # the oldest are at the end
        to.lpush(queue, *reversed(messages))
        source.ltrim(queue, 0, -len(messages) - 1)
        moved += len(messages)
    return moved


def _client(url: str) -> "redis.Redis":
    return redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
