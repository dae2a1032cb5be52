"""A task on a page: its words, its numbers, and a bar that says no more than is known."""

import pytest

from mailroom.i18n.formats import counted, pace
from mailroom.progress.snapshot import Snapshot
from mailroom.tasks.states import TaskState
from mailroom.web.views import words
from mailroom.web.views.task_view import task_view


def test_there_are_words_for_every_state_of_a_task() -> None:
    assert set(words.TASK_STATES) >= {str(state) for state in TaskState}


def test_the_bar_is_full_at_a_good_end_only_and_moves_alone_where_nobody_knows_of_how_much() -> None:
    def share(state: str, **more: float) -> float | None:
        return task_view(Snapshot("t", state, final=state in {"done", "failed"}, **more).public()).share  # type: ignore[arg-type]

    assert share("running", current=10, total=10) == 0.96
    assert share("failed", current=10, total=10) == 0.96
    assert share("done", current=9, total=10) == 1.0
    assert share("running", current=7) is None


@pytest.mark.parametrize(
    ("current", "total", "said"),
    [(None, None, ""), (1200, 3400, "1,200 of 3,400"), (0.5, 2, "0.5 of 2"), (7, None, "7")],
)
def test_counts_in_words(current: float | None, total: float | None, said: str) -> None:
    assert counted(current, total) == said


@pytest.mark.parametrize(
    ("rate", "eta", "said"),
    [
        (None, None, ""),
        (0.25, None, "15 a minute"),
        (2.46, 40, "2.5 a second, about 40 s left"),
        (1234, 150, "1,234 a second, about 2 min left"),
        (12.3, 7200, "12 a second, about 2 h left"),
    ],
)
def test_pace_in_words(rate: float | None, eta: float | None, said: str) -> None:
    assert pace(rate, eta) == said


def test_why_it_failed_stands_in_the_place_of_what_it_said_last() -> None:
    failed = Snapshot("t", "failed", message="half way", error={"message": "too dark"}, final=True)
    assert task_view(failed.public()).detail == "too dark"
