"""The files below /static/: read once, answered from memory.

A name is looked up in a table of our files: nothing that a client sends reaches the file system, and no answer
keeps a file open while a slow client takes it.
"""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from quart import Quart, Response, abort, request

STATIC = Path(__file__).parent / "static"
KEPT = "public, max-age=31536000, immutable"
CHECKED = "no-cache"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file in memory."""

    content: bytes
    content_type: str
    fingerprint: str
    """A short hash of the content. It is part of the file's address, which so changes with the content."""
    policy: str = ""
    """The Content-Security-Policy that it is sent with, if that is not the policy of all pages."""

    @classmethod
    def of(cls, content: bytes, content_type: str, policy: str = "") -> "StaticFile":
        """Return a file of these bytes."""
        return cls(content, content_type, hashlib.sha256(content).hexdigest()[:12], policy)


class StaticFiles:
    """All files of one application, by path: those below static/, which the `own` ones override."""

    def __init__(self, own: Mapping[str, StaticFile] | None = None) -> None:
        self._files = {**static_files(), **(own or {})}

    def __getitem__(self, name: str) -> StaticFile:
        """Return a file. Raises `KeyError` where there is none."""
        return self._files[name]

    def url(self, name: str) -> str:
        """Return the address of a file, which may be cached for ever. Raises `KeyError` where there is none."""
        return f"/static/{name}?v={self._files[name].fingerprint}"

    async def answer(self, filename: str) -> Response:
        """Answer with a file. If the address has its fingerprint, it may be cached for ever."""
        found = self._files.get(filename)
        if found is None:
            abort(404)
        response = Response(found.content, content_type=found.content_type)
        response.set_etag(found.fingerprint)
        is_kept = request.args.get("v") == found.fingerprint
        response.headers["Cache-Control"] = KEPT if is_kept else CHECKED
        if found.policy:
            response.headers["Content-Security-Policy"] = found.policy
        await response.make_conditional(request)
        return response

    async def favicon(self) -> Response:
        """Answer for browsers that ask for the icon without reading the page."""
        return await self.answer("favicon.svg")


@cache
def static_files() -> dict[str, StaticFile]:
    """Return every file below static/, by its path there."""
    return {
        path.relative_to(STATIC).as_posix(): _read(path) for path in sorted(STATIC.rglob("*")) if path.is_file()
    }


def _read(path: Path) -> StaticFile:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind == "application/javascript":
        kind += "; charset=utf-8"
    return StaticFile.of(path.read_bytes(), kind)


def serve_static(app: Quart, files: StaticFiles | None = None) -> None:
    """Give `app` its static files."""
    files = files or StaticFiles()
    app.add_url_rule("/static/<path:filename>", "static", files.answer)
    app.add_url_rule("/favicon.ico", "favicon", files.favicon)
