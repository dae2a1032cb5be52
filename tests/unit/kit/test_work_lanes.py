"""Work in lanes: who waits, for how long, who is refused, and what is never done."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from mailroom.kit.errors import Overloaded
from mailroom.kit.work_lanes import NICER, WorkLanes


class Work:
    """Takes 20 ms, and keeps count."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, name: str, seconds: float = 0.02) -> str:
        time.sleep(seconds)
        with self._lock:
            self.done.append(name)
        return name


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def lanes() -> Iterator[WorkLanes]:
    lanes = WorkLanes(["new", "known"], threads=2, name="test", longest_wait=0.5)
    yield lanes
    lanes.close()


async def test_a_crowd_in_one_lane_holds_up_nobody_in_the_other(lanes: WorkLanes, work: Work) -> None:
    crowd = [asyncio.create_task(lanes.run("new", work, "new")) for _ in range(400)]
    await asyncio.sleep(0.05)
    before = work.done.count("new")
    for _ in range(5):
        await lanes.run("known", work, "known")
    # Each waits for what is under way in two threads; meanwhile the other thread goes on with the crowd.
    assert work.done.count("new") - before <= 5 * 4
    results = await asyncio.gather(*crowd, return_exceptions=True)
    assert "new" in results, "the crowd goes on, too"


async def test_what_would_wait_too_long_is_refused_at_once_and_costs_nothing(lanes: WorkLanes, work: Work) -> None:
    began = time.monotonic()
    answers: list[str] = []

    async def one() -> None:
        try:
            answers.append(await lanes.run("new", work, "new"))
        except Overloaded:
            answers.append("refused")
            raise

    results = await asyncio.gather(*(one() for _ in range(400)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, Overloaded)]
    assert len(refused) > 300
    assert all(1 <= error.seconds <= 5 for error in refused)
    assert answers[:200] == ["refused"] * 200, "most know before any work is done"
    assert len(work.done) == 400 - len(refused)
    assert time.monotonic() - began < 4, "all 400 would take 4 s on two threads"


async def test_slow_work_bounds_the_wait_all_the_same(lanes: WorkLanes, work: Work) -> None:
    """What was expected to be quick is not: who waits is let go when the time is over."""
    began = time.monotonic()
    results = await asyncio.gather(*(lanes.run("new", work, "new", 1.0) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 6
    assert time.monotonic() - began < 1.3


async def test_who_left_before_its_turn_costs_no_work(lanes: WorkLanes, work: Work) -> None:
    waiting = [asyncio.create_task(lanes.run("new", work, f"{number}")) for number in range(12)]
    await asyncio.sleep(0)
    for task in waiting[2:]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert sorted(work.done) == ["0", "1"]
    assert await lanes.run("new", work, "next") == "next", "and its place is free"


async def test_who_leaves_in_its_turn_takes_no_thread_along(lanes: WorkLanes, work: Work) -> None:
    for _ in range(3):
        tasks = [asyncio.create_task(lanes.run("new", work, "left")) for _ in range(6)]
        await asyncio.sleep(0.03)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert await asyncio.wait_for(asyncio.gather(*(lanes.run("new", work, "new") for _ in range(4))), 2)


async def test_an_error_of_the_work_is_its_callers_and_frees_the_thread(lanes: WorkLanes, work: Work) -> None:
    def fails() -> None:
        raise ValueError("no")

    for _ in range(5):
        with pytest.raises(ValueError, match="no"):
            await lanes.run("known", fails)
    assert await lanes.run("known", work, "known") == "known"


async def test_places_count_as_much_as_who_waits(lanes: WorkLanes, work: Work) -> None:
    """Forty that come at once and first ask a database: half of them are refused before they ask."""
    asked = 0

    async def one() -> str:
        nonlocal asked
        with lanes.place("new"):
            asked += 1
            await asyncio.sleep(0.05)
        return await lanes.run("new", work, "new")

    results = await asyncio.gather(*(one() for _ in range(200)), return_exceptions=True)
    assert asked < 40
    assert all(isinstance(result, Overloaded | str) for result in results)
    assert len(work.done) > 15


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness of their own there")
async def test_the_event_loop_goes_before_the_threads(lanes: WorkLanes) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert await lanes.run("new", niceness) == min(19, niceness() + NICER)
