"""What a page shows or reads out, collected from its HTML; and what of it nobody translated."""

import re
from collections.abc import Callable, Collection
from html.parser import HTMLParser

SPOKEN = frozenset({"alt", "title", "placeholder", "aria-label", "content", "label"})
"""Attributes that are read out or shown."""
SILENT = frozenset({"script", "style"})
"""Elements whose content nobody sees."""


class PageTexts(HTMLParser):
    """Collects texts and the attributes in `spoken`, but for what is in elements of `silent`."""

    def __init__(self, *, spoken: Collection[str] = SPOKEN, silent: Collection[str] = SILENT) -> None:
        super().__init__()
        self.found: list[str] = []
        self._spoken = spoken
        self._silent = silent
        self._in: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in.append(tag)
        attributes = dict(attrs)
        for name, value in attributes.items():
            if name in self._spoken and (name != "content" or attributes.get("name") == "description"):
                self.found.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._in:
            del self._in[len(self._in) - 1 - self._in[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if not set(self._silent) & set(self._in):
            self.found.append(data)


def left_over(
    page: str, unmarked: Callable[[str], list[str]], names: re.Pattern[str], reader: PageTexts | None = None
) -> list[str]:
    """Return what is found in a page that is not between the brackets of the pseudo language, nor a name."""
    reader = reader or PageTexts()
    reader.feed(page)
    pieces = (names.sub("", text).strip() for text in unmarked("\n".join(reader.found)))
    return [piece for piece in pieces if re.search(r"[^\W\d_]{2}", piece)]
