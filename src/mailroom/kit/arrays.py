"""Lists as PostgreSQL's array literals: psycopg's own way takes ten times as long, and hot statements use many."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache


def array(values: Iterable[object]) -> str:
    """Return the literal of an array of numbers or ids; the statement casts it: ``%(ids)s::uuid[]``."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def array_of_times(values: Iterable[datetime | None]) -> str:
    """Return the literal of an array of times."""
    return "{" + ",".join(["NULL" if value is None else value.isoformat() for value in values]) + "}"


def array_of_words(values: Iterable[str | None]) -> str:
    """Return the literal of an array of texts. It is fastest if many texts are the same."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


@lru_cache(maxsize=512)
def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
