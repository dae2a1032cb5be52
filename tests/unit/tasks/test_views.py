"""A row holds codes where Mailroom speaks and text where others do; the edges show both as words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mailroom.i18n.sentences import in_words, text_of
from mailroom.kit.ids import new_id
from mailroom.progress.sentence import Sentence, to_columns
from mailroom.tasks.models import Task
from mailroom.tasks.states import NO_WORKER_TOOK_IT, WORKER_LOST, WORKER_STOPPED, TaskState, parent_progress
from mailroom.tasks.views import of_task

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def row(**values: Any) -> Task:
    usual = {"id": new_id(), "title": "A task", "created_at": NOON, "attempt": 1, "step": 1, "cancellable": False}
    return Task(**{**usual, **values})


def columns(name: str, text: str | Sentence | None) -> dict[str, Any]:
    code, params = to_columns(text)
    return {name: code, f"{name}_params": params}


@pytest.mark.parametrize("text", ["100 % of café", Sentence("export.ready")], ids=["a text", "a code"])
def test_a_message_is_shown_in_words_whoever_wrote_it(text: str | Sentence) -> None:
    shown = in_words(of_task(row(state="running", **columns("message", text))).public())
    assert shown["message"] == ("Your file is ready." if isinstance(text, Sentence) else text)
    title = columns("title", text)
    assert text_of(title["title"], title["title_params"]) == shown["message"]


@pytest.mark.parametrize("error", [WORKER_LOST, WORKER_STOPPED, NO_WORKER_TOOK_IT])
def test_each_end_that_mailroom_decides_has_a_sentence(error: Sentence) -> None:
    shown = in_words(of_task(row(state="failed", reason="worker lost", **columns("error", error))).public())
    assert shown["error"]["reason"] == "worker lost"
    assert "worker" in shown["error"]["message"]
    assert error.code not in shown["error"]["message"]


@pytest.mark.parametrize(
    ("first_error", "words"),
    [
        ("too dark", "1 of 3 failed: too dark"),
        (WORKER_STOPPED, "1 of 3 failed: The worker was stopped while it ran this task."),
        (None, "1 of 3 failed: no reason given"),
    ],
)
def test_a_group_says_why_its_first_part_failed(first_error: str | Sentence | None, words: str) -> None:
    progress = parent_progress("group", {"done": 2, "failed": 1}, first_error=first_error)
    assert progress.state == TaskState.FAILED
    shown = in_words(of_task(row(name="group", state="failed", **columns("error", progress.error))).public())
    assert shown["error"]["message"] == words
