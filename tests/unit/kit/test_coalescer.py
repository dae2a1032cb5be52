"""Group commit."""

import asyncio
from collections.abc import Sequence

import pytest

from mailroom.kit.coalescer import Coalescer


async def test_what_comes_while_a_statement_runs_goes_into_the_next_one() -> None:
    batches: list[list[int]] = []

    async def double(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await asyncio.sleep(0.01)
        return [item * 2 for item in items]

    batch = Coalescer(double)
    first = asyncio.create_task(batch.run(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = [asyncio.create_task(batch.run(item)) for item in (2, 3, 4)]
    assert await asyncio.gather(first, *rest) == [2, 4, 6, 8]
    assert batches == [[1], [2, 3, 4]]


async def test_an_error_is_every_callers_and_the_next_batch_goes_on() -> None:
    async def fail_once(items: Sequence[int]) -> list[int]:
        if 1 in items:
            raise OSError("away")
        return list(items)

    batch = Coalescer(fail_once)
    with pytest.raises(OSError, match="away"):
        await batch.run(1)
    assert await batch.run(2) == 2


async def test_a_caller_who_gives_up_takes_nothing_from_the_others() -> None:
    async def slow(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.02)
        return list(items)

    batch = Coalescer(slow)
    one, two = asyncio.create_task(batch.run(1)), asyncio.create_task(batch.run(2))
    await asyncio.sleep(0.005)
    one.cancel()
    assert await two == 2
