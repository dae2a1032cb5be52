"""A browser's name, from a fixed list, because a sender can write anything into the User-Agent header.

`described` gives it in English, as it is stored and compared; `browser_words` in the reader's language.
"""

import re

from mailroom.i18n.messages import gettext, gettext_noop, translated

ON = " on "
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""Order matters: most browsers also claim to be those below them."""
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", gettext_noop("an iPhone")),
    ("iPad", gettext_noop("an iPad")),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", gettext_noop("a Mac")),
    ("Linux", "Linux"),
)
LONGEST = 300
ANY_BROWSER = gettext_noop("a browser")


def described(user_agent: str, *, with_version: bool = False) -> str:
    """Return "Firefox on Windows" (or "Firefox 130 on Windows") or as much as can be told.

    The result never contains a word of the header itself, and of the version only its first number.
    """
    mark, browser = next(((mark, name) for mark, name in BROWSERS if mark in user_agent), ("", ANY_BROWSER))
    if with_version and mark and (version := _version(mark, user_agent)):
        browser += f" {version}"
    system = _first(SYSTEMS, user_agent)
    return f"{browser}{ON}{system}" if system else browser


def browser_words(name: str) -> str:
    """Return a name that `described` gave, in the current language."""
    browser, _, system = name.partition(ON)
    browser = translated(browser)
    return gettext("%(browser)s on %(system)s", browser=browser, system=translated(system)) if system else browser


def _version(mark: str, user_agent: str) -> str | None:
    """Return the first number of the version; Safari says its own after "Version/"."""
    name = "Version" if mark == "Safari/" else re.escape(mark.rstrip("/"))
    found = re.search(rf"{name}[A-Za-z]*/(\d{{1,4}})\b", user_agent)
    return found[1] if found else None


def cleaned(user_agent: str) -> str:
    """Return the header fit to be stored: printable, and of a bounded length."""
    return "".join(c for c in user_agent[:LONGEST] if c.isprintable())


def _first(pairs: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for mark, name in pairs if mark in user_agent), None)
