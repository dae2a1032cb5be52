"""Numbers, lengths of time and moments, as the current language writes them (Unicode CLDR, by Babel).

English needs no library here, and most processes speak no other language: Babel is loaded with the first one.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mailroom.i18n.languages import DEFAULT, current
from mailroom.i18n.messages import gettext, ngettext
from mailroom.kit.text import rounded_span
from mailroom.kit.text import short_span as plain_short_span
from mailroom.kit.text import span as plain_span

MANY = 10
"""Rate from which no fraction is shown."""
MANY_SECONDS = 100
"""Seconds from which a measured time is given in minutes."""
KILOBYTE, MEGABYTE = 1024, 1024 * 1024
UNITS = {"s": "second", "min": "minute", "h": "hour", "d": "day"}
"""Unit of `kit.text.rounded_span` → its name in CLDR."""

_zone: ContextVar[tzinfo] = ContextVar("mailroom_time_zone", default=UTC)


def use_time_zone(name: str | None) -> None:
    """Write moments in this zone (IANA database) from now on in this context; None: in UTC."""
    _zone.set(_zone_of(name))


@contextmanager
def in_time_zone(name: str | None) -> Iterator[None]:
    """Write moments in this zone inside the block; None: in UTC."""
    token = _zone.set(_zone_of(name))
    try:
        yield
    finally:
        _zone.reset(token)


def _zone_of(name: str | None) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):  # unknown on this machine
        return UTC


def time_zone() -> str:
    """Return the name of the zone that moments are written in; an empty text if nobody has chosen one."""
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


def span(seconds: float) -> str:
    """Return a length of time with a short unit: `12 s`, `5 min`, `30 h`, `2 d`; `5 Min.` in German."""
    if current() == DEFAULT:
        return plain_span(seconds)
    number, unit = rounded_span(seconds)
    return _with_unit(number, f"duration-{UNITS[unit]}")


def short_span(seconds: float) -> str:
    """Return a length of time as `span` does; below a second in milliseconds: `12 ms`."""
    if seconds >= 1:
        return span(seconds)
    if current() == DEFAULT:
        return plain_short_span(seconds)
    return _with_unit(round(seconds * 1000), "duration-millisecond")


def until(moment: datetime | None, now: datetime) -> str:
    """Return when something is due: `in 3 min`, `now`, or an empty text for None."""
    if moment is None:
        return ""
    seconds = (moment - now).total_seconds()
    return gettext("in %(time)s", time=span(seconds)) if seconds >= 1 else gettext("now")


def measured(seconds: float | None) -> str:
    """Return a measured length of time, as charts write it: `40 ms`, `1.5 s`, `3 min`; a dash for none.

    The symbols are those of the SI, which are the same in every language and short.
    """
    if seconds is None:
        return "—"
    if seconds < 1:
        return f"{number(round(seconds * 1000))} ms"
    if seconds < MANY_SECONDS:
        return f"{number(seconds)} s"
    if seconds < MANY_SECONDS * 60:
        return f"{number(round(seconds / 60))} min"
    return f"{number(round(seconds / 3600))} h"


def _with_unit(number: int, unit: str) -> str:
    from babel.units import format_unit

    return format_unit(number, unit, length="short", locale=_locale())


def listed(words: Iterable[str]) -> str:
    """Return words one after the other: `3 mails, 2 tasks`."""
    return ("、" if current().startswith("zh") else ", ").join(words)


def size(octets: int) -> str:
    """Return a size as people say it: `64 KB`, `1.5 MB`, `200 bytes`."""
    for unit, least in (("MB", MEGABYTE), ("KB", KILOBYTE)):
        if octets >= least:
            return f"{number(octets / least)} {unit}"
    return ngettext("%(num)s byte", "%(num)s bytes", octets)


def percent(share: float) -> str:
    """Return a share of 1 in percent, with one decimal if it has any: `12%`, `0.5%`."""
    if current() == DEFAULT:
        return f"{number(round(100 * share, 1))}%"
    from babel.numbers import format_percent

    pattern = format_percent(0, locale=_locale()).replace("0", "#,##0.#")  # has a space if the language uses one
    return format_percent(share, pattern, locale=_locale())


def number(value: float) -> str:
    """Return a count with its thousands separated, and one decimal if it has any: `1,200`, `0.5`."""
    if current() == DEFAULT:
        return f"{value:,.0f}" if float(round(value, 1)).is_integer() else f"{value:,.1f}"
    from babel.numbers import format_decimal

    return format_decimal(round(value, 1), locale=_locale())


def sentences(*parts: str) -> str:
    """Return whole sentences one after the other, with a space between them if the language uses one."""
    return ("" if current().startswith("zh") else " ").join(filter(None, parts))


def counted(current: float | None, total: float | None) -> str:
    """Return how far something is: `1,200 of 3,400`, or as much of it as is known."""
    if current is None:
        return ""
    if not total:
        return number(current)
    return gettext("%(current)s of %(total)s", current=number(current), total=number(total))


def pace(rate: float | None, eta: float | None) -> str:
    """Return how fast it goes: `12 a second, about 3 min left`, or as much of it as is known.

    `rate` is the count per second, `eta` the seconds left.
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
    from babel.dates import format_date, format_time, get_datetime_format

    day, time = format_date(moment, "medium", locale=_locale()), format_time(moment, "short", locale=_locale())
    joined = str(get_datetime_format("medium", locale=_locale())).replace("'", "")
    return f"{joined.replace('{0}', time).replace('{1}', day)} {_zone_name(moment)}"


def clock_time(moment: datetime, *, seconds: bool = True) -> str:
    """Return the time of day: `12:00:05 UTC`, or in the zone of `use_time_zone`."""
    moment = moment.astimezone(_zone.get())
    if current() == DEFAULT:
        return f"{moment:%H:%M:%S %Z}" if seconds else f"{moment:%H:%M %Z}"
    from babel.dates import format_time

    time = format_time(moment, "medium" if seconds else "short", locale=_locale())
    return f"{time} {_zone_name(moment)}"


def axis_time(moment: datetime, *, with_day: bool) -> str:
    """Return a moment in UTC for the axis of a chart: `12:00`, or `Tue 12:00`."""
    moment = moment.astimezone(UTC)
    if current() == DEFAULT:
        return f"{moment:%a %H:%M}" if with_day else f"{moment:%H:%M}"
    from babel.dates import format_date, format_time

    time = format_time(moment, "HH:mm", locale=_locale())
    return f"{format_date(moment, 'EEE', locale=_locale())} {time}" if with_day else time


def is_today(moment: datetime, now: datetime) -> bool:
    """Tell whether a moment is of the same day as `now`, in the zone of `use_time_zone`."""
    zone = _zone.get()
    return moment.astimezone(zone).date() == now.astimezone(zone).date()


def _zone_name(moment: datetime) -> str:
    if not isinstance(_zone.get(), ZoneInfo):
        return "UTC"
    from babel.dates import get_timezone_name

    name = get_timezone_name(moment, width="short", locale=_locale())
    if name[0] not in "+-":
        return name
    hours, minutes = int(name[:3]), int(name[3:])  # it has no short name in this language: `GMT+8`
    return f"GMT{hours:+d}" + (f":{minutes:02}" if minutes else "")


def _locale() -> str:
    return current().replace("-", "_")
