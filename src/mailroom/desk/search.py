"""The grammar of searches for mails: one for the desk's pages, the API and the shell.

A search is words separated by spaces. `name:value` narrows by a fact, `name:"two words"` quotes a value. Any other
word is looked for in subjects and servers' answers. Several values of `state` are separated by commas.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from mailroom.kit.errors import MailroomError
from mailroom.mail.messages.draft import STREAMS
from mailroom.mail.states import Reason, State

LONGEST = 500
"""Characters of a search."""
USUAL = timedelta(days=7)
"""How far back a search looks by default."""
UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
NAMES = (
    "state",
    "to",
    "kind",
    "key",
    "code",
    "enhanced",
    "reason",
    "since",
    "before",
    "id",
    "tag",
    "stream",
)
"""The facts that a search may name, in the order of its written form."""

_TOKEN = re.compile(r'([A-Za-z]+):("[^"]*"?|\S*)|("[^"]*"?|\S+)')
_LENGTH = re.compile(r"(\d{1,6})(min|h|d|w)")
_HEX = re.compile(r"[0-9a-f-]{2,36}")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_REASONS = {reason.value.replace(" ", "-"): reason.value for reason in Reason}


class InvalidSearch(MailroomError):
    """A search cannot be understood; its sentence says what to write instead."""

    def __init__(self, message_code: str, **params: str) -> None:
        """`message_code` and `params` are those of the catalogue (`i18n/sentences.py`)."""
        super().__init__()
        self.message_code = message_code
        self.params = params


@dataclass(frozen=True, slots=True)
class MailSearch:
    """A search for mails. Empty fields do not narrow it; `values` holds each fact as it was written."""

    states: tuple[str, ...] = ()
    to: str = ""
    """An address, or ``@domain`` for all of that domain; in lower case."""
    kind: str = ""
    key: str = ""
    """Name or beginning of an API key."""
    code: int | None = None
    enhanced: str = ""
    reason: str = ""
    since: datetime | None = None
    before: datetime | None = None
    everything: bool = False
    """True for `since:all`: no limit of time."""
    id: tuple[UUID, UUID] | None = None
    """The lowest and the highest id that begin as asked."""
    tag: tuple[str, str] | None = None
    """Name and value; an empty value means any."""
    stream: str = ""
    words: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, now: datetime) -> Self:
        """Return the search that a text asks for. Raises `InvalidSearch`."""
        if len(text) > LONGEST:
            raise InvalidSearch("search.error.too_long", most=str(LONGEST))
        values: dict[str, str] = {}
        words: list[str] = []
        for match in _TOKEN.finditer(text):
            if match[1] is None:
                words += match[3].strip('"').split()
                continue
            name, value = match[1].lower(), match[2].strip('"').strip()
            if name not in NAMES:
                raise InvalidSearch("search.error.unknown_name", name=name, names=", ".join(NAMES))
            if not value:
                raise InvalidSearch("search.error.no_value", name=name)
            if name in values:
                raise InvalidSearch("search.error.twice", name=name)
            values[name] = value
        return cls.of(values, words, now)

    @classmethod
    def of(cls, values: Mapping[str, str], words: Sequence[str], now: datetime) -> Self:
        """Return the search of facts, as they are written, and words. Raises `InvalidSearch`."""
        facts: dict[str, Any] = {}
        for name, value in values.items():
            facts |= _READ[name](value, now)
        return cls(words=tuple(words), values=dict(values), **facts)

    @property
    def text(self) -> str:
        """The search as it is written: facts in order, then words."""
        facts = [f"{name}:{_quoted(self.values[name])}" for name in NAMES if name in self.values]
        return " ".join([*facts, *self.words])

    def with_values(self, now: datetime, **changes: str) -> Self:
        """Return a search with some facts changed, or removed if empty. Raises `InvalidSearch`."""
        values = {**self.values, **changes}
        return type(self).of({name: value for name, value in values.items() if value}, self.words, now)

    def starts(self, now: datetime) -> datetime | None:
        """Return the time from which on it looks: a week ago by default; None for everything."""
        if self.since or self.everything or self.id:
            return self.since
        return now - USUAL


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"\s", value) else value


def _states(value: str, _now: datetime) -> dict[str, object]:
    known = {state.value for state in State}
    asked = tuple(part for part in value.lower().split(",") if part)
    for state in asked:
        if state not in known:
            raise InvalidSearch("search.error.state", value=state, states=", ".join(sorted(known)))
    return {"states": asked}


def _to(value: str, _now: datetime) -> dict[str, object]:
    if "@" not in value:
        raise InvalidSearch("search.error.to", value=value)
    return {"to": value.lower()}


def _code(value: str, _now: datetime) -> dict[str, object]:
    if not re.fullmatch(r"[245]\d\d", value):
        raise InvalidSearch("search.error.code", value=value)
    return {"code": int(value)}


def _enhanced(value: str, _now: datetime) -> dict[str, object]:
    if not _ENHANCED.fullmatch(value):
        raise InvalidSearch("search.error.enhanced", value=value)
    return {"enhanced": value}


def _reason(value: str, _now: datetime) -> dict[str, object]:
    reason = value.lower().replace(" ", "-")
    if reason not in _REASONS:
        raise InvalidSearch("search.error.reason", value=value, reasons=", ".join(_REASONS))
    return {"reason": _REASONS[reason]}


def _since(value: str, now: datetime) -> dict[str, object]:
    return {"everything": True} if value.lower() == "all" else {"since": moment(value, now)}


def _before(value: str, now: datetime) -> dict[str, object]:
    return {"before": moment(value, now)}


def _id(value: str, _now: datetime) -> dict[str, object]:
    text = value.lower().replace("-", "")
    if not _HEX.fullmatch(text) or len(text) > 32:  # noqa: PLR2004  # hex digits of a UUID
        raise InvalidSearch("search.error.id", value=value)
    return {"id": (UUID(text.ljust(32, "0")), UUID(text.ljust(32, "f")))}


def _tag(value: str, _now: datetime) -> dict[str, object]:
    name, _, wanted = value.partition("=")
    return {"tag": (name, wanted)}


def _stream(value: str, _now: datetime) -> dict[str, object]:
    if value not in STREAMS:
        raise InvalidSearch("search.error.stream", value=value, streams=", ".join(STREAMS))
    return {"stream": value}


def moment(value: str, now: datetime) -> datetime:
    """Return the moment of ``2h`` (before `now`), ``2026-11-01`` or ``2026-11-01T10:00`` (UTC).

    Raises `InvalidSearch`.
    """
    if length := _LENGTH.fullmatch(value):
        try:
            return now - timedelta(**{UNITS[length[2]]: int(length[1])})
        except OverflowError:
            raise InvalidSearch("search.error.moment", value=value) from None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidSearch("search.error.moment", value=value) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_READ: Mapping[str, Callable[[str, datetime], dict[str, object]]] = {
    "state": _states,
    "to": _to,
    "kind": lambda value, _now: {"kind": value},
    "key": lambda value, _now: {"key": value},
    "code": _code,
    "enhanced": _enhanced,
    "reason": _reason,
    "since": _since,
    "before": _before,
    "id": _id,
    "tag": _tag,
    "stream": _stream,
}
