"""Numbers, lengths of time and moments, as the current language writes them.

English needs no library here, and most processes speak no other language: Babel is loaded with the first one.
"""

from datetime import UTC, datetime

from mailroom.i18n.languages import DEFAULT, current
from mailroom.i18n.messages import ngettext
from mailroom.kit.text import rounded_span


def duration(seconds: float) -> str:
    """Return a length of time in one unit: `1 second`, `40 seconds`, `3 minutes`, `5 hours`, `2 days`."""
    number, unit = rounded_span(max(seconds, 1))
    if unit == "d":
        return ngettext("%(num)s day", "%(num)s days", number)
    if unit == "h":
        return ngettext("%(num)s hour", "%(num)s hours", number)
    if unit == "min":
        return ngettext("%(num)s minute", "%(num)s minutes", number)
    return ngettext("%(num)s second", "%(num)s seconds", number)


def number(value: float) -> str:
    """Return a count with its thousands parted, and one decimal where it has any: `1,200`, `0.5`."""
    if current() == DEFAULT:
        return f"{int(value):,}" if float(value).is_integer() else f"{value:,.1f}"
    from babel.numbers import format_decimal

    return format_decimal(round(value, 1), locale=_locale())


def date_time(moment: datetime) -> str:
    """Return a moment to the minute, in UTC: `24 Nov 2026, 12:00 UTC`."""
    moment = moment.astimezone(UTC)
    if current() == DEFAULT:
        return f"{moment:%-d %b %Y, %H:%M} UTC"
    from babel.dates import format_datetime

    return f"{format_datetime(moment, 'medium', locale=_locale())} UTC"


def clock_time(moment: datetime) -> str:
    """Return the time of day to the second, in UTC: `12:00:05 UTC`."""
    return f"{moment.astimezone(UTC):%H:%M:%S} UTC"


def _locale() -> str:
    return current().replace("-", "_")
