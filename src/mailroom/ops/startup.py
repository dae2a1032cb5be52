"""How each command gets its settings, and says what is wrong with them."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mailroom.apps.loader import load as load_apps
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.ops.embedded import environment
from mailroom.ops.terminal import Mark, sign
from mailroom.settings import Settings, SettingsError, load
from mailroom.settings.url_parts import shown_host

BAD_SETTINGS = 2
"""Exit code."""


def settings() -> Settings:
    """Read the settings and load the apps. Raises `SettingsError`.

    If required settings are missing, use those of a running `mailroom up`, and say so.
    """
    if stack := environment.find(Path.cwd(), os.environ):
        click.echo(gettext("Using the embedded stack in %(folder)s.", folder=shown(stack.home)), err=True)
        for name, value in stack.environment.items():
            if not os.environ.get(name):
                os.environ[name] = value  # also for the processes a command starts
    return _load()


def load_or_exit() -> Settings:
    """Read the settings, and load the apps, for a program that is not ours (celery, alembic, an ASGI server).

    If they cannot be used, print a sentence for each problem and end the program with exit code 2.
    """
    with exit_on_problems():
        return _load()


def _load() -> Settings:
    found = load()
    load_apps(found.mailroom_apps)
    return found


@contextmanager
def exit_on_problems() -> Iterator[None]:
    """Print a sentence for each problem of a `SettingsError` inside, and end the program with exit code 2."""
    try:
        yield
    except SettingsError as error:
        say_problems(error)
        raise SystemExit(BAD_SETTINGS) from None


def cannot_listen(settings: Settings, name: str, port: int, error: OSError) -> SettingsError:
    """Return what to say if HOST and the port of this setting cannot be used."""
    place = shown_host(settings.host, port)
    if error.errno == errno.EADDRINUSE:
        words = gettext(
            "%(setting)s %(port)s is in use at %(host)s. End that program, or set another %(setting)s.",
            setting=name,
            port=port,
            host=settings.host,
        )
    elif error.errno in {errno.EACCES, errno.EPERM}:
        words = gettext(
            "%(setting)s %(port)s needs rights that this user does not have. Set a %(setting)s from 1024 on, "
            "with a proxy in front (docs/OPERATING.md).",
            setting=name,
            port=port,
        )
    elif error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        words = gettext(
            "HOST %(host)s is not an address of this machine. 0.0.0.0 is all of them, 127.0.0.1 is loopback.",
            host=settings.host,
        )
    else:
        words = gettext(
            "HOST and PORT: nothing can listen on %(place)s: %(error)s.", place=place, error=error.strerror
        )
    return SettingsError([words])


def say_problems(error: SettingsError) -> None:
    """Print every problem of the settings as a sentence, and where they were read from."""
    click.echo(gettext("Mailroom cannot start with these settings:"), err=True)
    for problem in error.problems:
        click.echo(f"  {sign(Mark.BROKEN)} {problem}", err=True)
    click.echo(f"{source()} {gettext(ADVICE)}", err=True)


ADVICE = gettext_noop("`.env.example` explains every setting. `mailroom up` needs none of them.")
NOT_RUNNING = gettext_noop(
    "While a `mailroom up` runs, its settings are used: in its folder, or where MAILROOM_HOME names it."
)


def source() -> str:
    """Say which `.env` was read, or that none was."""
    path = Path(".env")
    if os.path.lexists(path):  # also one that we may not read
        return gettext("Settings were read from the environment and %(file)s.", file=path.absolute())
    return gettext(
        "Settings were read from the environment only: there is no .env in %(folder)s.", folder=Path.cwd()
    )


def shown(path: Path) -> str:
    """Return the path as a person here would write it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
