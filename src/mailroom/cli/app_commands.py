"""The commands of apps. Which apps there are is known before the settings can be read."""

import os
from pathlib import Path

import click

from mailroom.apps.installed import Apps
from mailroom.apps.loader import load
from mailroom.apps.places import thing_of
from mailroom.i18n.messages import gettext
from mailroom.ops.embedded import environment
from mailroom.settings import SettingsError

NAME = "MAILROOM_APPS"


def names() -> list[str]:
    """Return the commands of all apps. Raises `SettingsError`."""
    return sorted(_apps().commands)


def find(name: str) -> click.Command | None:
    """Return the command of an app, or None. Raises `SettingsError`."""
    found = _apps().commands.get(name)
    if found is None:
        return None
    app, place = found
    command = thing_of(place, app.who)
    if not isinstance(command, click.Command):
        raise SettingsError([gettext("%(who)s: %(place)s is no click command.", who=app.who, place=place)])
    return command


def _apps() -> Apps:
    """Load those that MAILROOM_APPS names: in the environment, in `.env`, or in those of a running `mailroom
    up`.
    """
    known = environment.given(Path.cwd(), os.environ)
    stack = None if NAME in known else environment.find(Path.cwd(), os.environ)
    return load(known.get(NAME) or (stack.environment.get(NAME, "") if stack else ""))
