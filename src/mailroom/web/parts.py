"""The parts of one web application, looked up by their type: services, rate limits, open sockets.

Quart keeps `extensions` by untyped string keys; only this file knows the key.
"""

from typing import TypeVar

from quart import Quart, current_app

Part = TypeVar("Part")

_KEY = "mailroom"


def provide(app: Quart, kind: type[Part], part: Part) -> None:
    """Give the application its one part of this type. A test may give another one."""
    app.extensions.setdefault(_KEY, {})[kind] = part


def part_of(app: Quart, kind: type[Part]) -> Part:
    """Return the application's part of this type. Raises `KeyError` where it has none."""
    part: Part = app.extensions[_KEY][kind]
    return part


def current(kind: type[Part]) -> Part:
    """Return the part of the application that serves this request or websocket; for functions that Quart calls."""
    return part_of(current_app, kind)
