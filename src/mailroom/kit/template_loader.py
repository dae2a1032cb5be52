"""Templates of Mailroom, and those that apps put in their place."""

from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2

OWN = "mailroom/"
"""The prefix of names that mean Mailroom's own template, even if an app has another one in its place."""


class OverridingLoader(jinja2.FileSystemLoader):
    """Looks in `folders` of apps first, then in `own`: ``{% extends "mailroom/home.html" %}`` finds the one
    below.
    """

    def __init__(self, own: Path, folders: Sequence[Path] = ()) -> None:
        super().__init__([*folders, own])
        self._own = jinja2.FileSystemLoader(own)

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """Return a template's text, as jinja2 asks for it."""
        if template.startswith(OWN):
            return self._own.get_source(environment, template.removeprefix(OWN))
        return super().get_source(environment, template)
