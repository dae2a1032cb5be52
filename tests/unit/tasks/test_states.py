"""Groups and chains: one task to their watchers, made of what their parts say."""

import pytest

from mailroom.tasks.states import TaskState, Whole, together


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ({"queued": 3}, Whole(TaskState.QUEUED, 0, 3)),
        ({"queued": 2, "running": 1}, Whole(TaskState.RUNNING, 0, 3)),
        ({"done": 1, "queued": 2}, Whole(TaskState.RUNNING, 1, 3)),
        ({"done": 2, "retrying": 1}, Whole(TaskState.RUNNING, 2, 3)),
        ({"done": 1, "failed": 1, "running": 1}, Whole(TaskState.RUNNING, 2, 3)),
        ({"done": 3}, Whole(TaskState.DONE, 3, 3)),
        ({"done": 2, "failed": 1}, Whole(TaskState.FAILED, 3, 3, "1 of 3 failed: too dark")),
        ({"done": 1, "cancelled": 2}, Whole(TaskState.CANCELLED, 1, 3)),
    ],
)
def test_a_group_goes_on_until_all_its_parts_have_ended(parts: dict[str, int], whole: Whole) -> None:
    assert together("group", parts, first_error="too dark") == (whole)


def test_a_chain_ends_with_the_first_part_that_fails() -> None:
    told = together("chain", {"done": 1, "failed": 1, "cancelled": 1}, first_error="too dark")
    assert told == Whole(TaskState.FAILED, 1, 3, "Step 2 of 3 failed: too dark")
