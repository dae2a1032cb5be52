"""The processor time of a coroutine: its own steps only, not what runs while it waits."""

import time
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

Result = TypeVar("Result")


class CpuMeter:
    """Adds up the processor time of the coroutines run through it."""

    def __init__(self) -> None:
        self.spent = 0.0
        """Seconds of processor time, all steps together."""
        self.longest = 0.0
        """Seconds of processor time of the longest step. Nothing else in the loop could run during it."""

    async def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run `coroutine` to its end; return or raise as it does."""
        return await self._steps(coroutine)

    @types.coroutine
    def _steps(self, coroutine: Coroutine[Any, Any, Result]) -> Generator[Any, Any, Result]:
        error: BaseException | None = None
        while True:
            began = time.thread_time()
            try:
                waits_for = coroutine.send(None) if error is None else coroutine.throw(error)
            except StopIteration as end:
                result: Result = end.value
                return result
            finally:
                took = time.thread_time() - began
                self.spent += took
                self.longest = max(self.longest, took)
            try:
                yield waits_for
                error = None
            except BaseException as thrown:
                error = thrown
