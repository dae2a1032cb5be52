"""Lines of plain text as a terminal shows them: a Chinese character takes two places and needs no space."""

import unicodedata
from collections.abc import Iterator

NOT_FIRST = frozenset("，。、；：！？）》」』】”’…—·％,.;:!?)%")  # noqa: RUF001  # Chinese
NOT_LAST = frozenset("（《「『【“‘(")  # noqa: RUF001
"""Characters that no line begins or ends with (GB/T 15834; W3C Requirements for Chinese Text Layout §3.1)."""


def filled(text: str, width: int) -> str:
    """Return `text` in lines of at most `width` places, but for words that are longer by themselves."""
    lines, line, length = [], "", 0
    for piece, is_apart in _pieces(text):
        taken = places(piece)
        gap = 1 if line and is_apart else 0
        if line and length + gap + taken > width:
            lines.append(line)
            line, length, gap = "", 0, 0
        line, length = line + " " * gap + piece, length + gap + taken
    return "\n".join([*lines, line])


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield what stays on one line, and whether a space stood before it."""
    for word in text.split():
        piece, is_first = "", True
        for character in word:
            if piece and _may_part(piece[-1], character):
                yield piece, is_first
                piece, is_first = "", False
            piece += character
        yield piece, is_first


def _may_part(before: str, after: str) -> bool:
    is_wide = places(before) == 2 or places(after) == 2  # noqa: PLR2004  # places of a Chinese character
    return is_wide and before not in NOT_LAST and after not in NOT_FIRST


def places(text: str) -> int:
    """Return how many places of a terminal `text` takes."""
    return sum(map(_of_character, text))


def padded(text: str, width: int) -> str:
    """Return `text` with spaces behind it, so that it takes `width` places, or more if it is longer."""
    return text + " " * (width - places(text))


def _of_character(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
