"""`mailroom migrate`: the tables of Mailroom and of all apps."""

import sys

from mailroom.apps.loader import load as load_apps
from mailroom.i18n.messages import gettext
from mailroom.ops.migrations import config
from mailroom.ops.startup import BAD_SETTINGS, load_or_exit


def migrate(revision: str = "heads") -> None:
    """Bring the database of DATABASE_URL to `revision`: Mailroom's tables and those of all apps.

    Prints a line for each step. Two at once do no harm: the second waits. Raises `SystemExit` with a sentence
    where that cannot be done.
    """
    from alembic import command
    from alembic.util import CommandError

    apps = load_apps(load_or_exit().mailroom_apps)
    try:
        command.upgrade(config(apps), revision)
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
