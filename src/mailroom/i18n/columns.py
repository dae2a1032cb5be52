"""How wide a text is in a terminal: a Chinese character takes two places."""

import unicodedata


def is_wide(character: str) -> bool:
    """Tell whether a character takes two places: one of Chinese, Japanese or Korean (Unicode UAX #11)."""
    return unicodedata.east_asian_width(character) in {"W", "F"}


def places(text: str) -> int:
    """Return how many places of a terminal `text` takes."""
    return sum(2 if is_wide(character) else 1 for character in text)


def padded(text: str, width: int) -> str:
    """Return `text` with spaces behind it, so that it takes `width` places, or more if it is longer."""
    return text + " " * (width - places(text))
