"""How every command gets its settings, and how it says what is wrong with them: one way for all."""

import os
from pathlib import Path

import click

from mailroom.ops.embedded import environment
from mailroom.settings import Settings, SettingsError, load

BAD_SETTINGS = 2
"""Exit code."""


def settings() -> Settings:
    """Read the settings; from a running `mailroom up` where some that are required are not set, saying so.

    Raises `SettingsError`.
    """
    if stack := environment.find(Path.cwd(), os.environ):
        click.echo(f"Using the embedded stack in {shown(stack.home)}.", err=True)
        for name, value in stack.environment.items():
            if not os.environ.get(name):
                os.environ[name] = value  # also for the processes a command starts
    return load()


def settings_of_a_door() -> Settings:
    """Read the settings for a program that is not ours (celery, alembic, an ASGI server).

    Ends it with exit code 2 and a sentence for each problem, where it would show a traceback.
    """
    try:
        return load()
    except SettingsError as error:
        say_problems(error)
        raise SystemExit(BAD_SETTINGS) from None


def say_problems(error: SettingsError) -> None:
    """Print every problem of the settings as a sentence, and where they were read from."""
    click.echo("Mailroom's settings need care:", err=True)
    for problem in error.problems:
        click.echo(f"  {click.style('✗', fg='red')} {problem}", err=True)
    click.echo(f"{source()} {ADVICE}", err=True)


ADVICE = "`.env.example` explains every setting; `mailroom up` needs none of them."
NOT_RUNNING = (
    "Those of a `mailroom up` are found while it runs: from the folder it runs in, or with its MAILROOM_HOME set."
)


def source() -> str:
    """Say which `.env` was read, or that none was."""
    path = Path(".env")
    if path.is_file():
        return f"Read: the environment and {path.resolve()}."
    return f"Read: the environment only; there is no .env in {Path.cwd()}."


def shown(path: Path) -> str:
    """Return the path as a person here would write it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
