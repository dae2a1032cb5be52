"""A browser's name in words, from a fixed list: what a User-Agent header says is the sender's to choose."""

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
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "a Mac"),
    ("Linux", "Linux"),
)
LONGEST = 300


def described(user_agent: str) -> str:
    """Return "Firefox on Windows" or as much as can be told; never a word of the header itself."""
    browser = _first(BROWSERS, user_agent) or "a browser"
    system = _first(SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def cleaned(user_agent: str) -> str:
    """Return the header fit to be stored: printable, and of a bounded length."""
    return "".join(c for c in user_agent[:LONGEST] if c.isprintable())


def _first(pairs: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for mark, name in pairs if mark in user_agent), None)
