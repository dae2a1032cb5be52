"""A task that is no mail as pages show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailroom.i18n.formats import counted, pace
from mailroom.progress.moods import mood_of
from mailroom.progress.share import share_of
from mailroom.web.views import words


@dataclass(frozen=True, slots=True)
class TaskView:
    """Everything a page shows of a task. `share` is None if the total is unknown."""

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
        """Return the title of the browser tab: how far the task is, if that is known, else its state."""
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
        mood=mood_of(state),
        word=said.word,
        headline=said.headline,
        detail=str(detail),
        share=share_of(public),
        counted=counted(public.get("current"), public.get("total")),
        pace=pace(public.get("rate"), public.get("eta")) if running else "",
        retry_at=public.get("retry_at"),
        cancellable=bool(public.get("cancellable")),
        final=public["final"],
    )
