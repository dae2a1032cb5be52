"""The language of an answer: the member's, else the one chosen at the foot of a page, else the browser's.

A member's language is spoken once the session is looked up (`speak_for` in `web/browser.py`).
"""

from collections.abc import Iterator

from quart import Response, g, has_websocket_context, request, websocket
from quart.wrappers.base import BaseRequestWebsocket

from mailroom.i18n import languages
from mailroom.web import cookies
from mailroom.web.browser import services

EMBEDDED = ("/embed", "/api/v1/watch/")
"""Paths that other programs' pages use. There the language that the page names (`?lang=`) counts, no cookie."""
LANGUAGE = "language"
"""The cookie's name."""
KEPT_SECONDS = 365 * 24 * 3600


async def choose_language() -> None:
    """Use the language that best fits the browser for this request or websocket."""
    asked: BaseRequestWebsocket = websocket if has_websocket_context() else request
    languages.speak(languages.best_of(_wanted(asked)))


def _wanted(asked: BaseRequestWebsocket) -> Iterator[str]:
    """Yield the language tags that a browser wants, the preferred one first (RFC 9110 §12.5.4)."""
    if asked.path.startswith(EMBEDDED):
        yield asked.args.get("lang", "")
    elif (chosen := asked.cookies.get(cookies.name_of(services().settings, LANGUAGE))) in languages.shipped():
        yield chosen
    yield from asked.accept_languages.values()


def keep_language(language: str) -> None:
    """Show this browser's pages in `language` from now on, also when nobody is signed in.

    No cookie is needed for an empty text, or for the language that the browser asks for anyway.
    """
    own = languages.best_of(request.accept_languages.values())
    g.mailroom_language = "" if language == own else language


async def tell_language(response: Response) -> Response:
    """Say which language a page is in, and write what `keep_language` asked for."""
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Language", languages.current())
    chosen: str | None = g.get("mailroom_language")
    settings = services().settings
    if chosen:
        cookies.put(response, settings, chosen, what=LANGUAGE, max_age=KEPT_SECONDS)
    elif chosen is not None and cookies.name_of(settings, LANGUAGE) in request.cookies:
        cookies.take_away(response, settings, what=LANGUAGE)
    return response
