"""Which languages there are, and which one is spoken now.

A language is named by its tag (RFC 5646), with the catalogue's folder of the same name in POSIX form: `zh-Hans` is
in `catalogues/zh_Hans/`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

CATALOGUES = Path(__file__).parent / "catalogues"
DEFAULT = "en"
"""The language of the source; it needs no catalogue."""
RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})

_current: ContextVar[str] = ContextVar("mailroom_language", default=DEFAULT)


@cache
def shipped() -> tuple[str, ...]:
    """Return the tags of all languages with a catalogue, the default first."""
    found = (path.parent.parent.name.replace("_", "-") for path in CATALOGUES.glob("*/LC_MESSAGES/mailroom.mo"))
    return (DEFAULT, *sorted(found))


def best_of(wanted: Iterable[str]) -> str:
    """Return the shipped language that suits somebody who prefers these, in order (RFC 4647 §3.4, lookup).

    A shipped language of another region or script counts too: somebody who reads `de-AT` is served `de`, and `pt`
    is served `pt-BR`. The default is the last resort.
    """
    there = {tag.lower(): tag for tag in shipped()}
    for tag in wanted:
        parts = tag.strip().lower().replace("_", "-").split("-")
        for length in range(len(parts), 0, -1):
            if found := there.get("-".join(parts[:length])):
                return found
        if found := next((there[one] for one in there if one.split("-")[0] == parts[0]), None):
            return found
    return DEFAULT


def current() -> str:
    """Return the tag of the language spoken now: of this request, or of this mail."""
    return _current.get()


def speak(language: str) -> None:
    """Speak `language` from now on in this context (a request's task, say)."""
    _current.set(language)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak `language` inside the block."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


NAMES = {"en": "English", "de": "Deutsch", "zh-Hans": "简体中文"}
"""What our languages call themselves. Every page shows it, so it must not load Babel."""


@cache
def name_of(tag: str) -> str:
    """Return what a language calls itself: `English`, `Deutsch`."""
    if tag in NAMES:
        return NAMES[tag]
    from babel import Locale

    name = Locale.parse(tag, sep="-").get_display_name() or tag
    return name[:1].upper() + name[1:]


def choices() -> list[tuple[str, str]]:
    """Return the tag and the own name of each language there is."""
    return [(tag, name_of(tag)) for tag in shipped()]


def direction() -> str:
    """Return `ltr` or `rtl`, as HTML's `dir` has it, for the current language."""
    return "rtl" if current().split("-")[0] in RIGHT_TO_LEFT else "ltr"
