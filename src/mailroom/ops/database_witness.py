"""The time of the workers' last heartbeat, kept in Redis beside the database (`mail/ledger/identity.py`)."""

from contextlib import suppress
from datetime import UTC, datetime

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mailroom.settings import Settings

PREFIX = "mailroom:database:"
PATIENCE = 1.0
"""Seconds for an answer. Without one the database is judged by its own row."""


class RedisWitness:
    """Keeps a time by the database's name, in the Redis of the results."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Redis = Redis.from_url(
            settings.results,
            max_connections=1,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )

    def read(self, name: str) -> datetime | None:
        """Return the time, or None if there is none or Redis does not answer."""
        with suppress(Exception):  # whatever the error, the database's own row has to be enough
            kept = self._redis.get(PREFIX + name)
            self._redis.connection_pool.disconnect()  # used once in a while, and small plans have few
            if isinstance(kept, bytes):
                return datetime.fromtimestamp(float(kept), UTC)
        return None

    def write(self, name: str, at: datetime) -> None:
        """Keep the time, as far as Redis answers."""
        with suppress(Exception):
            self._redis.set(PREFIX + name, at.timestamp())
            self._redis.connection_pool.disconnect()

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
