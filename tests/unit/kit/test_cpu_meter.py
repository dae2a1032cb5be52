import asyncio
import time

import pytest

from mailroom.kit.cpu_meter import CpuMeter


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def test_only_the_coroutines_own_steps_count() -> None:
    meter = CpuMeter()

    async def work() -> str:
        burn(0.01)
        await asyncio.sleep(0.05)
        burn(0.02)
        return "done"

    async def other() -> None:
        for _ in range(5):
            burn(0.02)
            await asyncio.sleep(0)

    done, _ = await asyncio.gather(meter.run(work()), other())
    assert done == "done"
    assert 0.03 <= meter.spent < 0.1
    assert 0.02 <= meter.longest <= meter.spent - 0.009


async def test_errors_and_cancellation_go_through() -> None:
    meter = CpuMeter()
    seen: list[str] = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with pytest.raises(ValueError, match="no"):
        await meter.run(fails())
    task = asyncio.create_task(meter.run(waits()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]
