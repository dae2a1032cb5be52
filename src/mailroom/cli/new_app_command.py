"""`mailroom new-app`: begins a package of one's own."""

from pathlib import Path

import click

from mailroom.i18n.messages import gettext


@click.command("new-app")
@click.argument("name")
def new_app(name: str) -> None:
    """Write the package of an app called NAME into a new folder here: a page, a task, a mail and tests.

    docs/APPS.md says what else an app can have.
    """
    from mailroom.apps.new import NEXT
    from mailroom.apps.new import new_app as write

    folder = write(name, Path.cwd())
    click.echo(gettext("%(folder)s is an app that works. Next:", folder=folder))
    click.echo(f"  {NEXT.format(name=name)}")


@click.command("new-migration")
@click.argument("name")
@click.argument("words")
def new_migration(name: str, words: str) -> None:
    """Write a migration of the app called NAME: what its models have and its tables have not.

    WORDS say what changes. The database must be at its heads (`mailroom migrate`); read the file and mend it.
    """
    from mailroom.ops.migrate import new_migration as write

    click.echo(write(name, words))
