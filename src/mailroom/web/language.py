"""Which language a request is answered in: the browser's own, as far as Mailroom speaks it."""

from quart import Response, has_websocket_context, request, websocket

from mailroom.i18n import languages


async def choose_language() -> None:
    """Speak the language that the browser asks for (RFC 9110 §12.5.4) in this request, or on this websocket."""
    asked = websocket if has_websocket_context() else request
    languages.speak(languages.best_of(asked.accept_languages.values()))


async def tell_language(response: Response) -> Response:
    """Say which language a page is in."""
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Language", languages.current())
    return response
