"""Runs programs and keeps them running: in order, until ready, restarted with backoff, stopped together.

It is our own, because none of those at hand restarts a dead program, stops all in order, and leaves nothing behind
when it is killed (docs/decisions/0008).
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mailroom.ops.processes import program as processes
from mailroom.ops.processes.errors import NotReady
from mailroom.ops.processes.output import Output, sink
from mailroom.ops.processes.program import Program
from mailroom.settings.stop_times import DEFAULT

FIRST_BACKOFF, LONGEST_BACKOFF, RAN_WELL = 1.0, 30.0, 60.0
SECONDS_FOR_LAST_LAYERS = 2.5
"""The most that a stop keeps for them; servers need less once nobody uses them."""
RESTART_SECONDS = 9.0
GIVE_UP_STARTING = 3
POLL = 0.05


def seconds_for_last_layers(seconds: float) -> float:
    """Return how many of the seconds of a stop are kept for the first layer, which ends last."""
    return min(SECONDS_FOR_LAST_LAYERS, seconds / 4)


class Records(Protocol):
    """Where running processes are noted, so that the next `mailroom up` can end what this one leaves behind."""

    def record(self, pid: int, name: str) -> None:
        """Note a process that was started."""

    def forget(self, pid: int) -> None:
        """Remove a process that has ended."""


@dataclass(eq=False)
class _Kept:
    program: Program
    process: asyncio.subprocess.Process | None = None
    task: asyncio.Task[None] | None = None
    ends: int = 0
    again: asyncio.Event = field(default_factory=asyncio.Event)
    """Set if the program is to be started again at once."""


@dataclass
class Supervisor:
    """Keeps programs running in layers; `stop` ends the last layer first."""

    output: Output
    records: Records
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _layers: list[list[_Kept]] = field(default_factory=list)

    def stop_on_signals(self, stop: Callable[[], object]) -> None:
        """Call `stop` on SIGINT, SIGTERM and SIGHUP (unless ignored: nohup); a second one kills what is left."""

        def handle() -> None:
            if self.stopping.is_set():
                self.hurry.set()
            self.stopping.set()
            stop()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN or number != signal.SIGHUP:
                asyncio.get_running_loop().add_signal_handler(number, handle)

    async def start(self, *programs: Program, seconds: float = 60.0, join: bool = False) -> None:
        """Start programs together and wait until all are ready. They are a new layer, or with `join` in the last.

        Raises `NotReady`.
        """
        layer = [_Kept(program) for program in programs]
        self._layers[-1:] = [[*self._layers[-1], *layer]] if join else [*self._layers[-1:], layer]
        for kept in layer:
            kept.task = asyncio.create_task(self._keep(kept), name=kept.program.name)
        await asyncio.gather(*(self._wait_ready(kept, seconds) for kept in layer))

    async def once(self, program: Program) -> int:
        """Run a program to its end; return its exit status (negative: the signal that ended it)."""
        kept = _Kept(program)
        self._layers.append([kept])
        result: list[int] = []

        async def run() -> None:
            result.append(await self._run(kept))

        kept.task = asyncio.create_task(run(), name=program.name)
        await kept.task
        return result[0]

    async def stop(self, seconds: float = DEFAULT) -> None:
        """Stop everything, last layer first: each program's stop signal, then SIGKILL for what is left of it."""
        self.stopping.set()
        until = time.monotonic() + seconds
        for number, layer in reversed(list(enumerate(self._layers))):
            late = until if number == 0 else until - seconds_for_last_layers(seconds)
            await asyncio.gather(*(self._end(kept, late) for kept in layer))

    async def restart(self, *names: str, seconds: float = RESTART_SECONDS) -> None:
        """End the programs of these names and start them again at once; what is left after `seconds` is killed."""
        wanted = [kept for layer in self._layers for kept in layer if kept.program.name in names]
        for kept in wanted:
            kept.again.set()
        await asyncio.gather(*(self._replace(kept, time.monotonic() + seconds) for kept in wanted))

    async def _replace(self, kept: _Kept, until: float) -> None:
        process = kept.process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(kept.program.stop_signal)
        while kept.process is process and not self.stopping.is_set():
            if time.monotonic() >= until or self.hurry.is_set():
                processes.kill_all(process.pid)
            await asyncio.sleep(POLL)

    async def _keep(self, kept: _Kept) -> None:
        backoff = FIRST_BACKOFF
        while not self.stopping.is_set():
            began = time.monotonic()
            status = await self._run(kept)
            if self.stopping.is_set():
                return
            if kept.again.is_set():
                kept.again.clear()
                backoff = FIRST_BACKOFF
                continue
            kept.ends += 1
            backoff = FIRST_BACKOFF if time.monotonic() - began >= RAN_WELL else backoff
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            self.output.say(f"{kept.program.name} {how}; starting it again in {backoff:g} s")
            await self._pause(kept, backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def _pause(self, kept: _Kept, seconds: float) -> None:
        """Wait; return early if everything stops, or if the program is to be started again at once."""
        waits = {asyncio.create_task(event.wait()) for event in (self.stopping, kept.again)}
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        kept.again.clear()

    async def _run(self, kept: _Kept) -> int:
        program = kept.program
        async with sink(program, self.output) as descriptor:
            try:
                process = await asyncio.create_subprocess_exec(
                    *processes.launch_line(program),
                    cwd=program.folder,
                    env=dict(program.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=descriptor,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            finally:
                os.close(descriptor)
            kept.process = process
            self.records.record(process.pid, program.name)
            status = await process.wait()
            kept.process = None
            processes.kill_all(process.pid)  # a process that it left behind would hold its port
            self.records.forget(process.pid)
        return status

    async def _end(self, kept: _Kept, until: float) -> None:
        asked = None
        while kept.task and not kept.task.done():
            process = kept.process
            if process and (time.monotonic() >= until or self.hurry.is_set()):
                processes.kill_all(process.pid)
            elif process and process is not asked:
                asked = process
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(kept.program.stop_signal)
            await asyncio.wait({kept.task}, timeout=POLL)

    async def _wait_ready(self, kept: _Kept, seconds: float) -> None:
        until = time.monotonic() + seconds
        ready = kept.program.ready
        while ready and not (kept.process is not None and await asyncio.to_thread(ready)):
            if kept.ends >= GIVE_UP_STARTING or time.monotonic() > until:
                where = f"its log: {kept.program.log}" if kept.program.log else "its lines above say why"
                raise NotReady(f"{kept.program.name} did not become ready; {where}")
            await asyncio.sleep(POLL)
