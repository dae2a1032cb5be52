"""Repairs links to which a mail program added characters: it took the full stop behind a link as part of it."""

import re
from urllib.parse import quote

from quart import Quart, Response, current_app, request
from werkzeug.exceptions import NotFound

from mailroom.web.page import redirect

ADDED = re.compile(r"[^A-Za-z0-9_-]+\Z")
"""Characters that none of our links ends in."""


def shorten_links(app: Quart) -> None:
    """Redirect a request for an unknown page to the same address without these characters, if that one exists."""
    app.before_request(_shorten)


async def _shorten() -> Response | None:
    if request.method not in {"GET", "HEAD"} or not isinstance(request.routing_exception, NotFound):
        return None
    path = ADDED.sub("", request.path)
    if len(path) < len("/a") or path == request.path or path.startswith("//"):
        return None
    assert current_app.url_map is not None
    adapter = current_app.create_url_adapter(request)
    if adapter is None or not adapter.test(path, "GET"):
        return None
    return redirect(quote(path))
