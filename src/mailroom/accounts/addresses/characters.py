"""Characters that nobody sees: they make two texts that look the same differ."""

import unicodedata

FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0")
"""Characters without a glyph that have no category of their own (of Default_Ignorable_Code_Point, and Braille)."""


def is_invisible(character: str) -> bool:
    """Tell whether a character has no glyph: format and control characters, variation selectors, fillers."""
    is_selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return is_selector or character in FILLERS or unicodedata.category(character) in {"Cf", "Cc"}


def visible(text: str) -> str:
    """Return the text without characters that nobody sees."""
    return "".join(character for character in text if not is_invisible(character))
