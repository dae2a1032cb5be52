"""Moments as people type them: a length of time before now, or a date."""

import re
from datetime import UTC, datetime, timedelta

import click

from mailroom.i18n.messages import gettext
from mailroom.kit import clock

UNITS = {"min": "minutes", "h": "hours", "d": "days"}
LENGTH = re.compile(r"(\d{1,6}) ?(min|h|d)")


class Moment(click.ParamType[datetime]):
    """``30min``, ``2h``, ``7d`` before now; or ``2026-11-27``, ``2026-11-27T14:05``, which is UTC."""

    name = "moment"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment; fails with a sentence if the text is none."""
        if isinstance(value, datetime):
            return value
        if length := LENGTH.fullmatch(value.strip()):
            return clock.now() - timedelta(**{UNITS[length[2]]: int(length[1])})
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            words = gettext(
                "%(text)s is not a time. Write 30min, 2h, 7d, or a date such as 2026-11-27.", text=repr(value)
            )
            self.fail(words, param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
