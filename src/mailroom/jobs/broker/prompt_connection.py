"""A broker that is back is found within seconds, however long it was away.

kombu waits longer after each failure to connect, up to 30 seconds, and Celery has no setting for it.
`AMQP.Connection` is Celery's documented place for a class of one's own.

Check at an upgrade of kombu: `Connection.ensure_connection` and its intervals.
`tests/unit/jobs/test_prompt_connection.py` fails where they change.
"""

from typing import Any

from kombu.connection import Connection

INTERVALS = {"interval_start": 1, "interval_step": 1, "interval_max": 4}
"""Seconds between two tries: 1, 2, 3, then 4."""


class PromptConnection(Connection):
    """A connection to the broker that tries again every few seconds."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Return the connection, made anew if necessary; the arguments are kombu's."""
        return super().ensure_connection(*args, **{**INTERVALS, **options})
