"""`mailroom csv-imports`."""

import click
from sqlalchemy import func, select

from csv_import.models import Import
from mailroom.api import gettext, ngettext, run, services


@click.command()
def imports() -> None:
    """Tell how many files were imported, and how many contacts were in them."""
    files, contacts = run(_counts)
    words = ngettext("%(num)s file", "%(num)s files", files)
    click.echo(gettext("%(files)s, %(contacts)s contacts", files=words, contacts=contacts))


async def _counts() -> tuple[int, int]:
    async with services().begin() as work:
        counts = select(func.count(Import.ended_at), func.coalesce(func.sum(Import.contacts), 0))
        files, contacts = (await work.session.execute(counts)).one()
        return int(files or 0), int(contacts or 0)
