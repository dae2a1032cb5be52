"""Numbers, lengths of time and moments, as the current language writes them.

English needs no library here, and most processes speak no other language: Babel is loaded with the first one.
"""

from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mailroom.i18n.languages import DEFAULT, current
from mailroom.i18n.messages import gettext, ngettext
from mailroom.kit.text import rounded_span, span

MANY = 10
"""Rate from which no fraction is shown."""


_zone: ContextVar[tzinfo] = ContextVar("mailroom_time_zone", default=UTC)


def use_time_zone(name: str | None) -> None:
    """Write moments in this zone (IANA database) from now on in this context; None: in UTC."""
    try:
        _zone.set(ZoneInfo(name) if name else UTC)
    except (ZoneInfoNotFoundError, ValueError):  # this machine's list of zones lacks it
        _zone.set(UTC)


def time_zone() -> str:
    """Return the name of the zone that moments are written in; an empty text where nobody has chosen one."""
    zone = _zone.get()
    return zone.key if isinstance(zone, ZoneInfo) else ""


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


def counted(current: float | None, total: float | None) -> str:
    """Return how far something is: `1,200 of 3,400`, or as much of it as is known."""
    if current is None:
        return ""
    if not total:
        return number(current)
    return gettext("%(current)s of %(total)s", current=number(current), total=number(total))


def pace(rate: float | None, eta: float | None) -> str:
    """Return how fast it goes: `12 a second, about 3 min left`, or as much of it as is known.

    `rate` is a second's worth, `eta` the seconds left.
    """
    speed = ""
    if rate and rate < 1:
        speed = gettext("%(rate)s a minute", rate=_rough(rate * 60))
    elif rate:
        speed = gettext("%(rate)s a second", rate=_rough(rate))
    if not eta:
        return speed
    left = span(max(eta, 1))
    if not speed:
        return gettext("about %(left)s left", left=left)
    return gettext("%(pace)s, about %(left)s left", pace=speed, left=left)


def _rough(rate: float) -> str:
    return number(round(rate) if rate >= MANY else round(rate, 1))


def date_time(moment: datetime) -> str:
    """Return a moment to the minute: `24 Nov 2026, 12:00 UTC`, or in the zone of `use_time_zone`."""
    moment = moment.astimezone(_zone.get())
    if current() == DEFAULT:
        return f"{moment:%-d %b %Y, %H:%M %Z}"
    from babel.dates import format_datetime

    return f"{format_datetime(moment, 'medium', tzinfo=_zone.get(), locale=_locale())} {moment:%Z}"


def clock_time(moment: datetime) -> str:
    """Return the time of day to the second: `12:00:05 UTC`, or in the zone of `use_time_zone`."""
    return f"{moment.astimezone(_zone.get()):%H:%M:%S %Z}"


def _locale() -> str:
    return current().replace("-", "_")
