"""Groups of thousands of empty parts: `python -m benchmarks.groups`, two to five minutes.

Each size is timed beside as many tasks of the same worker that have no rows and no group (Celery's own way), in
interleaved rounds. The figures that travel are ratios: of both ways, and of the time for each part of a large
group to that of a small one, which is 1 where a group's size does not matter.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import redis

from benchmarks.stage import PROCESSES, Stage
from mailroom.bootstrap.services import create_services
from mailroom.jobs.app import create_celery
from mailroom.jobs.publisher import Publisher
from mailroom.settings import Settings

EMPTY = "benchmarks.empty"
"""The task of `benchmarks/group_tasks.py`."""
SIZES = (1_000, 3_000, 10_000)
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.groups", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, asyncio.Runner() as loop:
        stage = Stage(stack, Path(folder))
        settings = stage.settings(9)
        for _ in range(PROCESSES):
            stage.process("-m", "benchmarks.group_tasks", environment=stage.environment(9))
        loop.run(of_group(stage, settings, 50))  # warm
        usual(stage, settings, 50)
        found: dict[int, list[tuple[float, float]]] = {size: [] for size in told.sizes}
        for _ in range(told.rounds):
            for size in told.sizes:
                pair = loop.run(of_group(stage, settings, size)), usual(stage, settings, size)
                found[size].append(pair)
                print(f"{size:>6} parts: {pair[0]:.1f} s; without rows {pair[1]:.1f} s", flush=True)
        show(found)


def show(found: dict[int, list[tuple[float, float]]]) -> None:
    smallest = min(found)
    base = statistics.median(ours for ours, _ in found[smallest]) / smallest
    for size, pairs in found.items():
        ours = statistics.median(pair[0] for pair in pairs)
        ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
        each = ours / size
        print(
            f"{size:>6} parts in {ours:.1f} s ({size / ours:.0f}/s), {ratio:.1f} times as long as without rows; "
            f"for each part {each / base:.2f} times one of {smallest}"
        )


async def of_group(stage: Stage, settings: Settings, size: int) -> float:
    """Start a group; return the seconds until it has ended."""
    publisher = Publisher(settings)
    services = create_services(settings, publisher.publish_mails, publisher.publish_task, name="bench")
    began = time.monotonic()
    async with services.database.begin() as work:
        ticket = await services.task_service.start_group(work, [(EMPTY, [])] * size, title="Empty parts")
    while not await asyncio.to_thread(
        stage.count, f"select count(*) from tasks where id = '{ticket}' and state = 'done'"
    ):
        assert time.monotonic() - began < 60 + size / 5, stage.count(
            "select count(*) from tasks where state = 'done'"
        )
        await asyncio.sleep(0.1)
    took = time.monotonic() - began
    await services.database.close()
    publisher.close()
    stage.forget()
    return took


def usual(stage: Stage, settings: Settings, size: int) -> float:
    """Send as many tasks that have no rows; return the seconds until the last one's result is there."""
    client, ids = create_celery(settings, worker=False), [str(uuid4()) for _ in range(size)]
    began = time.monotonic()
    for task_id in ids:
        client.send_task(EMPTY, task_id=task_id)
    with redis.Redis.from_url(stage.valkey.url) as server:
        while len(list(server.scan_iter("*celery-task-meta-*", count=10_000))) < size:
            assert time.monotonic() - began < 60 + size / 5
            time.sleep(0.2)
        took = time.monotonic() - began
    client.close()
    stage.forget()
    return took


if __name__ == "__main__":
    main()
