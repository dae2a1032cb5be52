"""The time, for people and caches. Decisions about mails use PostgreSQL's clock (`now()`)."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime | None) -> str | None:
    """Return a moment in ISO 8601, or None if there is none."""
    return moment.isoformat() if moment else None
