"""A mail's snapshot as a page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailroom.i18n import formats
from mailroom.i18n.messages import gettext, translated
from mailroom.mail.states import Reason
from mailroom.progress.moods import mood_of
from mailroom.progress.share import share_of
from mailroom.web.views import words

_ORDER = list(words.STEPS)
_STOPPED = {"retrying": "problem", "failed": "problem", "expired": "problem", "cancelled": "problem"}
_BLAME_ADDRESS = frozenset({Reason.REFUSED, Reason.MAILBOX_REFUSED})
_COUNTED = frozenset({"running", "done"})


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a mail. `status`: done, now, problem, unsure or todo; `standing`: the same for screen readers."""

    stage: str
    label: str
    status: str
    standing: str
    at: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history."""

    at: str
    attempt: int
    label: str


@dataclass(frozen=True, slots=True)
class ProgressView:
    """Everything the timeline shows."""

    task: str
    state: str
    mood: str
    word: str
    headline: str
    detail: str
    share: float
    steps: list[Step]
    history: list[Event]
    retry_at: str | None
    since: str | None
    code: str
    answer: str
    blames_address: bool
    """True if the mail server refused the recipient's address or mailbox."""
    cause: str
    """Where a mail could not be rendered, for operators."""
    afterword: str | None
    final: bool

    @property
    def shows(self) -> list[str]:
        """Return the states whose blocks the page shows: the afterword if there is one, else the mail's state.

        What a person can do about a mail that failed depends on whether its address is to blame.
        """
        if self.afterword:
            return [self.afterword]
        if self.state != "failed":
            return [self.state]
        return ["failed", "failed-address" if self.blames_address else "failed-otherwise"]

    @property
    def measured(self) -> bool:
        """Tell whether a line of a list shows how far it is."""
        return not self.final and self.state != "queued"


def view_of(public: Mapping[str, Any]) -> ProgressView:
    """Return what to show for a snapshot in its public form (`in_words`)."""
    state = public["state"]
    error = public.get("error") or {}
    timeline = public.get("timeline") or ()
    afterword = public.get("afterword")
    said = words.said(words.FOLLOW_UPS.get(afterword or "") or words.STATES.get(state) or words.STATES["running"])
    detail = said.detail
    if not afterword:
        detail = _explained(public, error) or detail
    return ProgressView(
        task=public["task"],
        state=state,
        mood=mood_of(afterword or state),
        word=said.word,
        headline=said.headline,
        detail=detail,
        share=share_of(public) or 0.0,
        steps=[] if state in _COUNTED else steps_of(public),
        history=history_of(timeline, public.get("attempt", 0)),
        retry_at=public.get("retry_at") if not afterword else None,
        since=error.get("since") if state == "retrying" and not afterword else None,
        code=" ".join(str(error[key]) for key in ("code", "enhanced") if error.get(key)),
        answer=without_code(error.get("answer") or "", error.get("enhanced")),
        blames_address=error.get("reason") in _BLAME_ADDRESS,
        cause=error.get("detail") or "",
        afterword=afterword,
        final=public["final"],
    )


def _explained(public: Mapping[str, Any], error: Mapping[str, Any]) -> str | None:
    """Return why the mail waits or ended, or how far it is; None if the state alone says it."""
    state = public["state"]
    ended_or_waits = state in {"queued", "retrying", "failed"} or (state == "uncertain" and public["final"])
    if ended_or_waits and error.get("message"):
        return str(error["message"])
    if state == "sending":
        return translated(words.STAGES.get(public.get("stage") or "", "")) or None
    return public.get("message")


def steps_of(public: Mapping[str, Any]) -> list[Step]:
    """Return the five steps of a mail, as far as its newest attempt came."""
    state, attempt = public["state"], public.get("attempt", 0)
    times: dict[str, str] = {}
    for entry in public.get("timeline") or ():
        if entry["stage"] == "queued":
            times.setdefault("queued", entry["at"])
        elif entry.get("attempt", attempt) == attempt:
            times[entry["stage"]] = entry["at"]
    reached = 0
    for index, stage in enumerate(_ORDER):
        if state != "queued" and (stage in times or stage == public.get("stage")):
            reached = index
    steps = []
    for index, (stage, label) in enumerate(words.STEPS.items()):
        if state == "sent" or index < reached:
            status = "done"
        elif state in _STOPPED or state == "uncertain":
            if index == reached:
                status = "done"
            else:
                status = _STOPPED.get(state, "unsure") if index == reached + 1 else "todo"
        else:
            status = "now" if index == reached and state != "unknown" else "todo"
        at = times.get(stage) if status != "todo" else None
        steps.append(Step(stage, translated(label), status, translated(words.STEP_STATUSES[status]), at))
    return steps


def history_of(timeline: Sequence[Mapping[str, Any]], attempt: int) -> list[Event]:
    """Return what happened so far, newest first, once there was more than one attempt."""
    if attempt < 2 and not any(entry["stage"] in {"retrying", "uncertain"} for entry in timeline):  # noqa: PLR2004
        return []
    return [
        Event(entry["at"], entry.get("attempt", 0), translated(words.EVENTS.get(entry["stage"], entry["stage"])))
        for entry in reversed(timeline)
    ]


def attempt_words(attempt: int) -> str:
    """Return which attempt an event belongs to, in words; empty for events before the first attempt."""
    return gettext("attempt %(number)s", number=attempt) if attempt else ""


def without_code(answer: str, enhanced: str | None) -> str:
    """Return a server's answer without the enhanced status code before each line: the page shows that itself."""
    if not enhanced:
        return answer
    return "\n".join(line.removeprefix(enhanced).lstrip() for line in answer.splitlines())


def clock_time(iso: str) -> str:
    """Return the time of day of an ISO 8601 moment, in UTC; the page's script makes it the reader's own."""
    return formats.clock_time(datetime.fromisoformat(iso))
