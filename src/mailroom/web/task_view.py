"""A task that is no mail as pages show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailroom.i18n.formats import number
from mailroom.i18n.messages import gettext
from mailroom.kit.text import span
from mailroom.web import words
from mailroom.web.progress_view import share_of

_SOME, _MANY = 1, 10
"""Rates from which they are said by the second, and without a fraction."""


@dataclass(frozen=True, slots=True)
class TaskView:
    """Everything a page shows of a task. `share` is None where nobody knows of how much."""

    task: str
    state: str
    mood: str
    word: str
    headline: str
    detail: str
    share: float | None
    counted: str
    pace: str
    retry_at: str | None
    cancellable: bool
    final: bool

    @property
    def tab(self) -> str:
        """Return what the tab says: how far the task is, while that is known."""
        share = self.share if self.state == "running" and self.counted else None
        return self.word if share is None else f"{share * 100:.0f} %"

    @property
    def measured(self) -> bool:
        """Tell whether a line of a list shows how far it is."""
        return not self.final and self.state != "queued"


def task_view(public: Mapping[str, Any]) -> TaskView:
    """Return what to show for a snapshot in its public form (`in_words`)."""
    state, error = public["state"], public.get("error") or {}
    said = words.said(words.TASK_STATES.get(state) or words.TASK_STATES["running"])
    troubled = state in {"failed", "retrying"}
    detail = (error.get("message") if troubled else public.get("message")) or said.detail
    running = state == "running"
    return TaskView(
        task=public["task"],
        state=state,
        mood=said.mood,
        word=said.word,
        headline=said.headline,
        detail=str(detail),
        share=share_of(public) if public.get("total") or not running else None,
        counted=count_words(public.get("current"), public.get("total")),
        pace=pace_words(public.get("rate"), public.get("eta")) if running else "",
        retry_at=public.get("retry_at"),
        cancellable=bool(public.get("cancellable")),
        final=public["final"],
    )


def count_words(current: float | None, total: float | None) -> str:
    """Return "1,200 of 3,400", or as much of it as is known."""
    if current is None:
        return ""
    if not total:
        return number(current)
    return gettext("%(current)s of %(total)s", current=number(current), total=number(total))


def pace_words(rate: float | None, eta: float | None) -> str:
    """Return "12 a second, about 3 min left", or as much of it as is known."""
    pace = ""
    if rate and rate < _SOME:
        pace = gettext("%(rate)s a minute", rate=_rough(rate * 60))
    elif rate:
        pace = gettext("%(rate)s a second", rate=_rough(rate))
    if not eta:
        return pace
    left = span(max(eta, 1))
    if not pace:
        return gettext("about %(left)s left", left=left)
    return gettext("%(pace)s, about %(left)s left", pace=pace, left=left)


def _rough(rate: float) -> str:
    return number(round(rate) if rate >= _MANY else round(rate, 1))
