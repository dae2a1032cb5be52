"""The task behind "all mails of this search": sends them again, or cancels them."""

from typing import Any
from uuid import UUID

from celery import Celery

from mailroom.desk.bulk_actions import NAME
from mailroom.progress.reports import current_ticket, report
from mailroom.progress.sentence import Sentence


def register(app: Celery) -> None:
    """Give the app this task."""

    @app.task(name=NAME, bind=True, cancellable=True)
    async def change_mails(self: Any) -> int:
        """Do the act in the task's row of `bulk_actions`; return how many mails it changed."""

        def progress(done: int, total: int | None) -> None:
            report(current=done, total=total)

        counts = await self.services.bulk_actions.run(UUID(current_ticket()), progress)
        facts = {"changed": counts.changed, "left_alone": counts.left_alone}
        report(message=Sentence("bulk.done", facts))
        changed: int = counts.changed
        return changed
