"""How the shell writes times and others' words."""

from datetime import datetime

MINUTE, HOUR, DAY = 60, 3600, 86400


def clean(text: str) -> str:
    """Return `text` with every control character shown as an escape.

    Addresses and servers' answers come from outside; none of them may control the terminal.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def rounded_span(seconds: float) -> tuple[int, str]:
    """Return a length of time, rounded, and its unit: up to 90 seconds, 90 minutes, 48 hours, then days.

    Whole minutes, hours and days are said as such. Units are ``s``, ``min``, ``h`` and ``d``.
    """
    for least, unit, name in ((2 * DAY, DAY, "d"), (90 * MINUTE, HOUR, "h"), (90, MINUTE, "min")):
        if seconds >= least or (seconds >= unit and seconds % unit == 0):
            return round(seconds / unit), name
    return round(seconds), "s"


def span(seconds: float) -> str:
    """Return a length of time with its unit: ``12 s``, ``5 min``, ``30 h``, ``2 d``."""
    number, unit = rounded_span(seconds)
    return f"{number} {unit}"


def short_span(seconds: float) -> str:
    """Return a length of time as `span` does; below a second in milliseconds: ``12 ms``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else span(seconds)


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago `moment` was."""
    return span(max((now - moment).total_seconds(), 0))


def full(moment: datetime) -> str:
    """Return a moment to the second: ``2026-11-24 04:16:00 UTC``."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def clock(moment: datetime) -> str:
    """Return the time of day to the millisecond."""
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"


def counted(number: int, noun: str) -> str:
    """Return ``1 mail``, ``2 mails``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
