"""Groups and chains: one task to their watchers, made of what their parts say."""

import pytest

from mailroom.progress.sentence import Sentence
from mailroom.tasks.states import ParentProgress, TaskState, parent_progress


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ({"queued": 3}, ParentProgress(TaskState.QUEUED, 0, 3)),
        ({"queued": 2, "running": 1}, ParentProgress(TaskState.RUNNING, 0, 3)),
        ({"done": 1, "queued": 2}, ParentProgress(TaskState.RUNNING, 1, 3)),
        ({"done": 2, "retrying": 1}, ParentProgress(TaskState.RUNNING, 2, 3)),
        ({"done": 1, "failed": 1, "running": 1}, ParentProgress(TaskState.RUNNING, 2, 3)),
        ({"done": 3}, ParentProgress(TaskState.DONE, 3, 3)),
        (
            {"done": 2, "failed": 1},
            ParentProgress(
                TaskState.FAILED,
                3,
                3,
                Sentence("task.parts_failed", {"failed": 1, "total": 3, "error": "too dark"}),
            ),
        ),
        ({"done": 1, "cancelled": 2}, ParentProgress(TaskState.CANCELLED, 1, 3)),
    ],
)
def test_a_group_goes_on_until_all_its_parts_have_ended(parts: dict[str, int], whole: ParentProgress) -> None:
    assert parent_progress("group", parts, first_error="too dark") == (whole)


def test_a_chain_ends_with_the_first_part_that_fails() -> None:
    told = parent_progress("chain", {"done": 1, "failed": 1, "cancelled": 1}, first_error="too dark")
    error = Sentence("task.step_failed", {"step": 2, "total": 3, "error": "too dark"})
    assert told == ParentProgress(TaskState.FAILED, 1, 3, error)
