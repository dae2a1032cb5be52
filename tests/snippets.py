"""The snippets of docs/SENDING.md, to be run as they stand."""

import re
from dataclasses import dataclass

from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "SENDING.md").read_text()
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    """A block of code; `language` is empty for a shell."""

    language: str
    code: str


SNIPPETS = [Snippet(*found) for found in BLOCK.findall(TEXT)]


def snippet(language: str, word: str) -> str:
    """Return the one snippet in this language that has this word."""
    found = [one.code for one in SNIPPETS if one.language == language and word in one.code]
    assert len(found) == 1, f"{word!r} is in {len(found)} snippets in {language or 'the shell'!r}"
    return found[0]
