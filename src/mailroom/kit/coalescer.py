"""Group commit: calls that come while a statement runs go into the next one, in one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


GATHER = 0.001
"""Seconds that a batch waits for more items if the last batch had several: then many calls come together."""


class Coalescer(Generic[Item, Result]):
    """Joins calls that come at the same time into one. A call that comes alone does not wait.

    `call` takes up to `most` items, in order, and returns a result for each. If it raises an error, every caller
    gets that error. `gather`: seconds that a batch waits for more items, if the last batch had several.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        most: int = 500,
        gather: float = GATHER,
    ) -> None:
        self._call = call
        self._most = most
        self._gather = gather
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._under_way = 0
        self._task: asyncio.Task[None] | None = None

    async def run(self, item: Item) -> Result:
        """Add `item` to the next call; return its result once that call is committed."""
        return await self.begin(item)

    def begin(self, item: Item) -> "asyncio.Future[Result]":
        """Add `item` to the next call; return a future of its result."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return future

    def __len__(self) -> int:
        """Return how many items are not done: those that wait, and those of the call under way."""
        return len(self._waiting) + self._under_way

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                self._under_way = len(batch)
                await self._settle(batch)
                self._under_way = 0
                if len(batch) > 1:
                    await asyncio.sleep(self._gather)
        finally:
            self._task = None

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._call([item for item, _ in batch])
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else ConnectionAbortedError())
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    def close(self) -> None:
        """Cancel the call under way, and the futures of the items that wait."""
        if self._task:
            self._task.cancel()
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()

    async def aclose(self) -> None:
        """Give up what is under way and what waits, and wait until it has ended."""
        task = self._task
        self.close()
        if task:
            await asyncio.wait([task])
