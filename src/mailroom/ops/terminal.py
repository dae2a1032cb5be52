"""Signs on a terminal, in whatever encoding it has."""

import sys
from enum import StrEnum

import click


class Mark(StrEnum):
    """The outcome of a check."""

    GOOD = "good"
    WARNING = "warning"  # works, but somebody should look at it
    BROKEN = "broken"
    UNKNOWN = "unknown"  # could not be checked


SIGNS = {
    Mark.GOOD: ("✓", "+", "green"),
    Mark.WARNING: ("!", "!", "yellow"),
    Mark.BROKEN: ("✗", "x", "red"),
    Mark.UNKNOWN: ("?", "?", None),
}
"""For each mark its sign, the one for terminals that lack this sign (ISO 8859-1, say), and its colour."""


def write_what_can_be_written() -> None:
    """Make standard output write characters that it cannot encode as escapes, as standard error does."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure and (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        reconfigure(errors="backslashreplace")


def sign(mark: Mark) -> str:
    """Return the sign of a mark, coloured, that standard output can show."""
    best, plain, colour = SIGNS[mark]
    try:
        best.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        best = plain
    return click.style(best, fg=colour, bold=True)
