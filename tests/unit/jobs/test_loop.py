"""The loop of a worker process: begun once, and over once."""

from concurrent.futures import CancelledError

import pytest

from mailroom.jobs.loop import WorkerLoop


class Living:
    """Notes what happens to it."""

    def __init__(self, told: list[str]) -> None:
        self.told = told

    async def start(self) -> None:
        self.told.append("start")

    async def stop(self) -> None:
        self.told.append("stop")

    async def close(self) -> None:
        self.told.append("close")

    async def work(self) -> int:
        self.told.append("work")
        return 7


def test_what_comes_after_its_end_begins_no_second_loop() -> None:
    told: list[str] = []
    loop = WorkerLoop(lambda: Living(told))
    assert loop.run(lambda living: living.work()) == 7
    loop.close()
    loop.spawn(lambda living: living.work())  # type: ignore[arg-type,return-value]
    with pytest.raises(CancelledError):
        loop.run(lambda living: living.work())
    loop.close()
    assert told == ["start", "work", "stop", "close"]
