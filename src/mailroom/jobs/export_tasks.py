"""The task behind "Export my data": the pattern for a task with progress (CONTRIBUTING has the steps)."""

from typing import Any
from uuid import UUID

from celery import Celery

from mailroom.accounts.exports.exports import NAME
from mailroom.progress.reports import current_ticket, report
from mailroom.progress.sentence import Sentence


def register(app: Celery) -> None:
    """Give the app this task."""

    @app.task(name=NAME, bind=True, cancellable=True)
    async def export_account(self: Any, account_id: str) -> int:
        """Write the export of an account; return its size in bytes."""

        def progress(written: int, total: int, table: str) -> None:
            report(current=written, total=total, stage=table, message=Sentence(f"export.writing_{table}"))

        size: int = await self.services.exports.make(UUID(current_ticket()), UUID(account_id), progress)
        report(message=Sentence("export.ready"))
        return size
