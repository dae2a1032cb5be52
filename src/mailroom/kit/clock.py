"""The time. What decides about a mail is PostgreSQL's clock (`now()`); this one is for people and caches."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)
