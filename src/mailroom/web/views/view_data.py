"""A view as data: `static/live.js` writes it into the page that the server drew, and decides nothing itself.

Words, steps and bar come from the same view as the page (`progress_view.py`, `task_view.py`).
"""

from collections.abc import Mapping
from typing import Any

from mailroom.web.views.progress_view import ProgressView, attempt_words, view_of
from mailroom.web.views.task_view import TaskView, task_view


def view_data(public: Mapping[str, Any], *, is_mail: bool) -> dict[str, Any]:
    """Return what a page writes for a snapshot in its public form (`in_words`), in the current language.

    ``texts`` are by the names of the page's parts; ``shows`` are the states whose blocks the page shows. Times are
    ISO 8601; ``share`` is 0 to 1, or null if the total is unknown.
    """
    return _mail_data(view_of(public)) if is_mail else _task_data(task_view(public))


def _mail_data(view: ProgressView) -> dict[str, Any]:
    return {
        **_common(view),
        "tab": view.word,
        "shows": view.shows,
        "texts": {
            "word": view.word,
            "headline": view.headline,
            "detail": view.detail,
            "code": view.code,
            "answer": view.answer,
        },
        "since": view.since,
        "steps": [{"status": step.status, "standing": step.standing, "at": step.at} for step in view.steps],
        "history": [
            {"at": event.at, "label": event.label, "attempt": attempt_words(event.attempt)}
            for event in view.history
        ],
    }


def _task_data(view: TaskView) -> dict[str, Any]:
    return {
        **_common(view),
        "tab": view.tab,
        "shows": [view.state, "cancellable"] if view.cancellable else [view.state],
        "texts": {
            "word": view.word,
            "headline": view.headline,
            "detail": view.detail,
            "counted": view.counted,
            "pace": view.pace,
        },
    }


def _common(view: ProgressView | TaskView) -> dict[str, Any]:
    return {"mood": view.mood, "share": view.share, "retry_at": view.retry_at, "measured": view.measured}
