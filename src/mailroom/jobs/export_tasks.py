"""The task behind "Export my data": the pattern for a task with progress (CONTRIBUTING has the steps)."""

from inspect import isasyncgenfunction
from typing import Any
from uuid import UUID

from celery import Celery

from mailroom.accounts.exports.exports import NAME, AppTable
from mailroom.apps.app import ExportedTable
from mailroom.apps.installed import Apps, InstalledApp
from mailroom.apps.places import thing_of
from mailroom.i18n.messages import gettext
from mailroom.progress.reports import current_ticket, report
from mailroom.progress.sentence import Sentence
from mailroom.settings.errors import SettingsError


def register(app: Celery, apps: Apps) -> None:
    """Give the app this task. Raises `SettingsError` if a table of `apps` cannot be exported."""
    app_tables = [_table_of(installed, table) for installed in apps for table in installed.app.exports]
    names = [table.name for table in app_tables]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError([gettext("Two apps export a table %(name)s.", name=min(twice))])

    @app.task(name=NAME, bind=True, cancellable=True)
    async def export_account(self: Any, account_id: str) -> int:
        """Write the export of an account; return its size in bytes."""

        def progress(written: int, total: int, table: str) -> None:
            report(current=written, total=total, stage=table, message=Sentence(f"export.writing_{table}"))

        make = self.services.exports.make
        size: int = await make(UUID(current_ticket()), UUID(account_id), progress, app_tables=app_tables)
        report(message=Sentence("export.ready"))
        return size


def _table_of(installed: InstalledApp, table: ExportedTable) -> AppTable:
    rows = thing_of(table.place, installed.who)
    if not isasyncgenfunction(rows):
        words = gettext(
            "%(who)s exports %(place)s, which is no asynchronous generator: a function with async def and yield.",
            who=installed.who,
            place=table.place,
        )
        raise SettingsError([words])
    return AppTable(table.name, table.columns, rows)
