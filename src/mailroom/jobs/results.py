"""The result backend: workers write it through reports, web processes read it in batches.

Celery stores and reads one result at a time. The formats are its own: `get_key_for_task`, `encode` and
`decode_result` of its Redis backend. Many results in one command are what makes live progress cheap (decision 3;
`make bench-live`).

Check at an upgrade of Celery: these three, `client` and `expires` of the backend, and the keys of a stored result
(`_meta`); `tests/integration/jobs/test_results.py` reads ours with Celery and Celery's with ours.
"""

import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from celery import Celery
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError

from mailroom.jobs.app import create_celery
from mailroom.jobs.invalidations import Invalidations
from mailroom.progress.reporter import Report
from mailroom.settings import Settings

logger = logging.getLogger(__name__)

READY = frozenset({"SUCCESS", "FAILURE"})


STORE = """
for place, key in ipairs(KEYS) do
    local meta = ARGV[place + 2]
    redis.call('SET', key, meta, 'EX', ARGV[1])
    if string.sub(ARGV[2], place, place) == '1' then redis.call('PUBLISH', key, meta) end
end
"""
"""Stores results and publishes those that are ready: one command and one answer for hundreds of results."""

ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class ResultWriter:
    """Stores reports as Celery's results, a batch in one round trip."""

    def __init__(self, app: Celery) -> None:
        self._backend = app.backend
        self._store = self._backend.client.register_script(STORE)

    def __call__(self, reports: Sequence[Report]) -> None:
        """Store the reports; one that cannot be encoded is dropped. Blocks; raises redis-py's errors."""
        encodable = [(report, meta) for report in reports if (meta := self._meta_of(report)) is not None]
        if not encodable:
            return
        keys = [self._backend.get_key_for_task(report.task) for report, _ in encodable]
        ready = "".join("1" if report.state in READY else "0" for report, _ in encodable)  # a client may wait
        try:
            self._store(keys, [self._backend.expires, ready, *(meta for _, meta in encodable)])
        except ReadOnlyError:  # a replica now: a new connection may lead to the primary
            self._backend.client.connection_pool.disconnect()
            raise

    def _meta_of(self, report: Report) -> str | None:
        """Return the stored form, None if JSON cannot hold it: an error would hold up all others for ever."""
        try:
            return self._encoded(_meta(report))
        except Exception as error:
            logger.warning("a result of %s was dropped: %s", report.task, type(error).__name__)
            return None

    def _encoded(self, meta: dict[str, Any]) -> str:
        try:
            return ENCODE(meta)
        except (
            TypeError,
            ValueError,
        ):  # not plain JSON: Celery can encode some other types, and takes longer
            encoded: str = self._backend.encode(meta)
            return encoded


def _meta(report: Report) -> dict[str, Any]:
    """Return a result in the format that Celery stores."""
    return {
        "status": report.state,
        "result": report.result() if callable(report.result) else report.result,
        "traceback": None,
        "children": [],
        "date_done": datetime.now(UTC).isoformat() if report.state in READY else None,
        "task_id": report.task,
    }


class ResultReader:
    """Reads results for the poller: raw bytes by MGET, which Celery's backend decodes."""

    def __init__(self, settings: Settings) -> None:
        # It never publishes: only the backend's keys and decoder are used.
        self._backend = create_celery(settings, worker=True, current=False).backend
        pool = BlockingConnectionPool.from_url(
            settings.results,
            max_connections=3,
            timeout=1,
            socket_timeout=1,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),  # the next poll is the next try
            protocol=2,  # in version 3 invalidations would come between replies
        )
        self._changes = Invalidations(pool)
        self._redis: Redis = Redis(connection_pool=pool)

    def key_of(self, task: UUID) -> bytes:
        """Return the key under which the backend keeps a task's result."""
        key: bytes = self._backend.get_key_for_task(str(task))
        return key

    async def read(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return the stored bytes of each key, None if there are none. Raises redis-py's errors."""
        values: Any = await self._redis.mget(keys)
        return list(values)

    def changes(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield keys whose value changed since it was read, beginning with none; each once a reading.

        Raises redis-py's errors if the connection is lost, or if the server cannot or may not tell.
        """
        return aiter(self._changes)

    def decode(self, raw: bytes) -> Mapping[str, Any]:
        """Return Celery's meta."""
        meta: Mapping[str, Any] = self._backend.decode_result(raw)
        return meta

    async def ping(self) -> None:
        """Raise if Redis does not answer within a second."""
        await self._redis.ping()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose(close_connection_pool=True)  # a pool given is not its own
