"""A worker without a part of our skin, for `benchmarks.skin`: `python -m benchmarks.skin_worker ours|stock|wake`.

`ours` is the worker as it is. `stock` has kombu's own channel, which reads and acknowledges messages one by one.
`wake` has it, too, and takes a message for no more than a sign that mails wait: it acknowledges at once and claims
a hundred mails from PostgreSQL.
"""

import sys
from collections.abc import Callable
from typing import Any

from kombu.transport import redis

from mailroom.jobs import mail_strategy
from mailroom.jobs.runtime import Runtime
from mailroom.jobs.worker import work
from mailroom.settings import load


class AcknowledgeEach:
    """Acknowledges each message by itself, in the consumer's thread."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    def acknowledge(self, message: Any) -> None:
        self._consumer.call_soon(message.ack)


async def wake(runtime: Runtime, _mail_id: object, acknowledge: Callable[[], object]) -> None:
    """Acknowledge at once, and send what waits in the table."""
    acknowledge()
    await runtime.deliverer._deliver_waiting()  # noqa: SLF001  # what is measured


def main(part: str) -> int:
    stock = redis.Transport.Channel
    from mailroom.worker import app

    if part in {"stock", "wake"}:
        redis.Transport.Channel = stock
        mail_strategy.BatchAcknowledger = AcknowledgeEach  # type: ignore[assignment,misc]
    if part == "wake":
        mail_strategy._deliver = wake  # type: ignore[assignment]  # noqa: SLF001
    settings = load()
    return work(app, threads=settings.worker_threads, log_level=settings.log_level)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
