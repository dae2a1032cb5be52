"""Mailroom under a path of a host that has other sites, too: PUBLIC_URL=https://example.org/mail.

Inside the application every address begins at the root, as in the templates. Here the path is removed from
requests and put in front of addresses in answers: those in pages, and `Location`. Scripts take it from their own
address. A proxy may pass the path on or remove it, so both are answered.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from werkzeug.routing import Map

from mailroom.settings import SettingsError

Scope = dict[str, Any]
ADDRESS = r'(\s(?:href|src|action|formaction|data-options|data-suggestions)=")(?=/(?!/))'
"""What precedes an address in a page. Text of others cannot match, since its quotation marks are escaped."""


def inside(path: str, site_path: str) -> str:
    """Return the path of a request without the site's path, as the application uses it."""
    if path == site_path:
        return "/"
    return path[len(site_path) :] if site_path and path.startswith(f"{site_path}/") else path


def in_pages(html: str, site_path: str) -> str:
    """Return a page of ours whose addresses begin with the site's path."""
    return _addresses().sub(lambda found: found[0] + site_path, html) if site_path else html


@cache
def _addresses() -> re.Pattern[str]:
    return re.compile(ADDRESS)


def check_path(site_path: str, routes: Map) -> None:
    """Raise `SettingsError` where a page's path begins like the site's: nobody could tell which is meant."""
    first = site_path.split("/")[1] if site_path else ""
    if first and first in {rule.rule.split("/")[1] for rule in routes.iter_rules()}:
        raise SettingsError([f"PUBLIC_URL must have another path: Mailroom has pages of its own below /{first}."])


class SitePath:
    """An ASGI application that serves another one under a path."""

    def __init__(self, app: Any, site_path: str) -> None:
        self._app = app
        self._path = site_path

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer as ASGI asks for."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        raw = scope.get("raw_path", b"").decode("latin-1")
        taken_off = {
            **scope,
            "path": inside(scope["path"], self._path),
            "raw_path": inside(raw, self._path).encode("latin-1"),
        }

        async def tell(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(self._outside(message["headers"]))}
            await send(message)

        await self._app(taken_off, receive, tell)

    def _outside(self, headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
        for name, value in headers:
            is_ours = name.lower() == b"location" and value.startswith(b"/") and not value.startswith(b"//")
            yield name, self._path.encode() + value if is_ours else value
