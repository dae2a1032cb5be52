"""What the page of a finished task offers: one block for each kind of task that has something to give.

A block is a template in `templates/results/`; `values` returns what it is filled with, besides `task` and `view`.
It is drawn with the page, also while the task runs, and shown once the task is done.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mailroom.accounts.exports import exports
from mailroom.tasks.models import Task
from mailroom.web.browser import current_session, services


@dataclass(frozen=True, slots=True)
class ResultBlock:
    """The block of one kind of task."""

    template: str
    values: Callable[[Task], Awaitable[dict[str, Any]]]


async def _export(task: Task) -> dict[str, Any]:
    """Return until when the file can be downloaded: only its owner is told."""
    session = await current_session()
    if session is None or session.account is None or session.account.id != task.owner_id:
        return {"until": None}
    async with services().database.begin() as work:
        return {"until": await services().exports.expires_at(work, task.id)}


class ResultBlocks(dict[str, ResultBlock]):
    """Name of a task → its block: ours, and those of apps."""

    def __init__(self) -> None:
        super().__init__({exports.NAME: ResultBlock("results/export.html", _export)})
