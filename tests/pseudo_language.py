"""A language that nobody speaks: each message in brackets, so that one sees what was not translated."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailroom.i18n import extraction, languages, messages

PSEUDO = "eo"


@pytest.fixture(scope="session")
def pseudo_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalogue of every marked message, translated to itself between ⟦ and ⟧."""
    folder = tmp_path_factory.mktemp("catalogues")
    file = extraction.begin(PSEUDO, folder)
    catalogue = extraction.update(file, extraction.collect())
    for message in catalogue:
        if message.id:
            forms = message.id if isinstance(message.id, tuple) else (message.id,)
            told = tuple(f"⟦{form}⟧" for form in forms)
            message.string = told if isinstance(message.id, tuple) else told[0]
            message.flags.discard("fuzzy")
    file.with_suffix(".mo").write_bytes(extraction.compiled(catalogue))
    return folder


@pytest.fixture
def pseudo(pseudo_catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The language of that catalogue, which is shipped while the test runs."""
    monkeypatch.setattr(languages, "CATALOGUES", pseudo_catalogue)
    languages.shipped.cache_clear()
    messages._catalogue.cache_clear()
    yield PSEUDO
    monkeypatch.undo()
    languages.shipped.cache_clear()
    messages._catalogue.cache_clear()


@pytest.fixture
def unmarked() -> Callable[[str], list[str]]:
    """What is not between brackets in a text, and has letters."""

    def find(text: str) -> list[str]:
        left, depth = "", 0
        for character in text:
            depth += {"⟦": 1, "⟧": -1}.get(character, 0)
            left += "\n" if character in "⟦⟧" else character if depth == 0 else ""
        return [piece.strip() for piece in left.split("\n") if re.search(r"[^\W\d_]{2}", piece)]

    return find
