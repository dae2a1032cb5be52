"""`mailroom migrate`: the tables of Mailroom and of all apps."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailroom.apps.loader import load as load_apps
from mailroom.apps.places import module_of
from mailroom.i18n.messages import gettext
from mailroom.ops.migrations import config
from mailroom.ops.startup import BAD_SETTINGS, load_or_exit, settings
from mailroom.settings import SettingsError

FIRST = "9a99719015b5"
"""Mailroom's first tables: what an app's first migration depends on."""


def migrate(revision: str = "heads") -> None:
    """Bring the database of DATABASE_URL to `revision`: Mailroom's tables and those of all apps.

    ``acme@base`` removes the tables of an app. Prints a line for each step. Two runs at once do no harm: the
    second waits. Raises `SystemExit` with a sentence if the migration is impossible.
    """
    from alembic import command

    apps = load_apps(load_or_exit().mailroom_apps)
    run = command.downgrade if revision.endswith("@base") else command.upgrade
    with _explaining():
        run(config(apps), revision)


def new_migration(app_name: str, words: str) -> Path:
    """Write a migration that adds to an app's tables what only its models have. Return the file.

    All migrations must have run. Raises `SettingsError`, and `SystemExit` with a sentence.
    """
    from alembic import command

    apps = load_apps(settings().mailroom_apps)
    app = next((app for app in apps if app.name == app_name and app.app.models), None)
    if app is None:
        raise SettingsError([gettext("There is no app %(name)s that declares models.", name=app_name)])
    module_of(app.app.models, app.who)
    folder = app.folder / "migrations"
    folder.mkdir(exist_ok=True)
    found, begun = config(apps), any(folder.glob("*.py"))
    found.attributes["only"] = f"{app.name}_"
    with _explaining():
        script = command.revision(
            found,
            words,
            autogenerate=True,
            version_path=str(folder),
            head=f"{app.name}@head" if begun else "base",
            branch_label=None if begun else app.name,
            depends_on=None if begun else FIRST,
        )
    assert script is not None
    assert not isinstance(script, list)
    return Path(script.path)


@contextmanager
def _explaining() -> Iterator[None]:
    """End the program with a sentence if alembic cannot do what the block asks of it."""
    from alembic.util import CommandError

    try:
        yield
    except CommandError as error:
        print(_explained(str(error)), file=sys.stderr)
        raise SystemExit(BAD_SETTINGS) from None


def _explained(error: str) -> str:
    if "Can't locate revision" not in error:
        return f"{error}."
    return gettext(
        "The database has a migration that is not here: %(error)s. It is of a newer Mailroom, or of an app that "
        "is not installed. Install that again. Where the app is gone for good, delete its row in alembic_version.",
        error=error,
    )
