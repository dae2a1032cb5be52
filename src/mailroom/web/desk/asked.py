"""The search that a request asks for: its text, or the parts of the form, or what is wrong with it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quart import request

from mailroom.accounts.views import AccountView
from mailroom.desk.search import NAMES, InvalidSearch, MailSearch
from mailroom.i18n.sentences import error_text
from mailroom.kit import clock

LONGEST = 600


@dataclass(frozen=True, slots=True)
class Asked:
    """A search, or the sentence that says what is wrong with it."""

    text: str
    search: MailSearch | None
    message: str
    now: datetime

    @property
    def values(self) -> dict[str, Any]:
        """The values of the form's controls."""
        return dict(self.search.values) if self.search else {}


def asked_search(account: AccountView, text: str | None = None) -> Asked:
    """Return what `q` (or `text`) asks for. A viewer, who sees no full address, may not ask for one either."""
    text = (request.args.get("q", "") if text is None else text)[:LONGEST].strip()
    now = clock.now()
    try:
        search = MailSearch.parse(text, now)
        if not account.is_operator:
            check_viewer(search)
    except InvalidSearch as error:
        return Asked(text, None, error_text(error), now)
    return Asked(search.text, search, "", now)


def check_viewer(search: MailSearch) -> None:
    """Raise `InvalidSearch` where the result would tell a viewer about a single address."""
    if (search.to and not search.to.startswith("@")) or any("@" in word for word in search.words):
        raise InvalidSearch("search.error.viewer")


def text_of_form() -> str | None:
    """Return the search of a form that was sent in parts; None if only the text was sent."""
    changed = {name: request.args[name].strip()[:200] for name in NAMES if name in request.args}
    if not changed:
        return None
    now, words = clock.now(), request.args.get("q", "")[:LONGEST]
    quoted = {name: f'"{value}"' if " " in value else value for name, value in changed.items() if value}
    try:
        kept = MailSearch.parse(words, now)
        kept_values = {name: value for name, value in kept.values.items() if name not in changed}
        rest = MailSearch.of(kept_values, kept.words, now).text
    except InvalidSearch:
        rest = words
    return " ".join([*(f"{name}:{value}" for name, value in quoted.items()), rest]).strip()
