"""Marking and translating messages, as GNU gettext does: the English sentence is the key.

In Python use `gettext`, `ngettext` and `pgettext`; in templates `{% trans %}` and `_()`. Parameters are named
(`%(wait)s`), and a percent sign is written twice (`100 %%`). Mark a message in a table, which is made at import,
with `gettext_noop`, and translate it where it is shown.
"""

import gettext as gnu
from functools import cache
from pathlib import Path

from mailroom.i18n import languages

DOMAIN = "mailroom"
_of_apps: dict[str, Path] = {}
"""The folders of apps' catalogues, by their domain."""


def add_catalogue(domain: str, folder: Path) -> None:
    """Also translate from `folder` (`<language>/LC_MESSAGES/<domain>.mo`), after Mailroom's own catalogue."""
    _of_apps[domain] = folder
    _catalogue.cache_clear()


@cache
def _catalogue(language: str) -> gnu.NullTranslations:
    if language == languages.DEFAULT:
        return gnu.NullTranslations()
    name = [language.replace("-", "_")]
    found = gnu.translation(DOMAIN, languages.CATALOGUES, name, fallback=True)
    for domain, folder in _of_apps.items():
        found.add_fallback(gnu.translation(domain, folder, name, fallback=True))
    return found


def gettext(message: str, /, **parameters: object) -> str:
    """Return `message` in the current language, with its parameters filled in."""
    return translated(message) % parameters


def ngettext(singular: str, plural: str, number: int, /, **parameters: object) -> str:
    """Return the form of a message that suits `number`, which fills in `%(num)s`."""
    return translated_plural(singular, plural, number) % {"num": number, **parameters}


def pgettext(context: str, message: str, /, **parameters: object) -> str:
    """Return `message` in the current language, by `context` if the same English has several meanings."""
    return translated_in(context, message) % parameters


def gettext_noop(message: str) -> str:
    """Mark `message` for the catalogues and return it as it is; the code that shows it calls `gettext(it)`."""
    return message


def ngettext_noop(singular: str, plural: str) -> tuple[str, str]:
    """Mark both forms of a message for the catalogues and return them as they are."""
    return singular, plural


# -- For Jinja, which fills in the parameters itself (`newstyle`).


def translated(message: str) -> str:
    """Return `message` in the current language, its parameters not yet filled in."""
    language = languages.current()
    if language == languages.DEFAULT or not message:  # the empty message would return the catalogue's header
        return message
    return _catalogue(language).gettext(message)


def translated_plural(singular: str, plural: str, number: int) -> str:
    """Return the form of a message that suits `number`, its parameters not yet filled in."""
    return _catalogue(languages.current()).ngettext(singular, plural, number)


def translated_in(context: str, message: str) -> str:
    """Return `message` as it is translated in this context, its parameters not yet filled in."""
    return _catalogue(languages.current()).pgettext(context, message)
