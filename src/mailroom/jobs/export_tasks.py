"""The task behind "Export my data": the pattern for a task with progress (CONTRIBUTING has the steps)."""

from typing import Any
from uuid import UUID

from celery import Celery

from mailroom.accounts.exports.exports import NAME, AppTable
from mailroom.apps.installed import Apps
from mailroom.apps.places import thing_of
from mailroom.progress.reports import current_ticket, report
from mailroom.progress.sentence import Sentence


def register(app: Celery, apps: Apps) -> None:
    """Give the app this task. Raises `SettingsError` if a table of `apps` cannot be imported."""
    app_tables = [
        AppTable(table.name, table.columns, thing_of(table.place, installed.who))
        for installed in apps
        for table in installed.app.exports
    ]

    @app.task(name=NAME, bind=True, cancellable=True)
    async def export_account(self: Any, account_id: str) -> int:
        """Write the export of an account; return its size in bytes."""

        def progress(written: int, total: int, table: str) -> None:
            report(current=written, total=total, stage=table, message=Sentence(f"export.writing_{table}"))

        make = self.services.exports.make
        size: int = await make(UUID(current_ticket()), UUID(account_id), progress, app_tables=app_tables)
        report(message=Sentence("export.ready"))
        return size
