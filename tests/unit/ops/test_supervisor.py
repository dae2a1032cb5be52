"""The supervisor, with small real processes."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailroom.ops.processes.errors import NotReady
from mailroom.ops.processes.program import Program, started_at, wait_gone
from mailroom.ops.processes.supervisor import Supervisor


@dataclass
class Notebook:
    """Keeps what the supervisor shows and records."""

    lines: list[str] = field(default_factory=list)
    running: dict[int, str] = field(default_factory=dict)

    def say(self, text: str) -> None:
        self.lines.append(text)

    def line(self, name: str, text: str) -> None:
        self.lines.append(f"{name}: {text}")

    def record(self, pid: int, name: str) -> None:
        self.running[pid] = name

    def forget(self, pid: int) -> None:
        self.running.pop(pid, None)

    async def wait(self, words: str) -> None:
        async with asyncio.timeout(8):
            while not any(words in line for line in self.lines):  # no event tells of it
                await asyncio.sleep(0.01)


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
async def supervisor(notebook: Notebook) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(notebook, notebook)
    yield supervisor
    await supervisor.stop(3.0)


def shell(name: str, line: str, **options: object) -> Program:
    return Program(name, ["/bin/sh", "-c", line], Path("/"), dict(os.environ), **options)


async def test_a_program_that_keeps_dying_waits_twice_as_long_each_time(
    supervisor: Supervisor, notebook: Notebook
) -> None:
    await supervisor.start(shell("web", "echo here; exit 3"))
    await notebook.wait("web ended with status 3; starting it again in 2 s")
    assert notebook.lines[:3] == ["web: here", "web ended with status 3; starting it again in 1 s", "web: here"]


async def test_the_last_started_are_stopped_first(supervisor: Supervisor, notebook: Notebook) -> None:
    for name in ("database", "web"):
        await supervisor.start(shell(name, "trap 'echo bye; exit' TERM; echo hi; while :; do sleep 0.02; done"))
        await notebook.wait(f"{name}: hi")
    await supervisor.stop()
    assert [line for line in notebook.lines if "bye" in line] == ["web: bye", "database: bye"]
    assert notebook.running == {}


async def test_what_does_not_listen_is_killed_with_its_children(
    supervisor: Supervisor, notebook: Notebook
) -> None:
    await supervisor.start(shell("web", "set -m; trap '' TERM; sleep 600 & echo child $!; wait; sleep 600"))
    await notebook.wait("web: child")
    child = next(line for line in notebook.lines if "child" in line)  # in a process group of its own (set -m)
    pids = [*notebook.running, int(child.split()[-1])]
    assert all(started_at(pid) for pid in pids)
    began = time.monotonic()
    await supervisor.stop(3.0)
    assert time.monotonic() - began < 4.0
    assert wait_gone(pids, 0.5)


async def test_children_of_a_program_that_died_are_ended_before_it_starts_again(
    supervisor: Supervisor, notebook: Notebook
) -> None:
    await supervisor.start(shell("web", "sleep 600 & echo child $!; exit 1"))
    await notebook.wait("again in 1 s")
    assert wait_gone([int(notebook.lines[0].split()[-1])], 0.5)


async def test_a_second_signal_does_not_wait(supervisor: Supervisor, notebook: Notebook) -> None:
    await supervisor.start(shell("web", "trap '' TERM; echo hi; while :; do sleep 0.1; done"))
    await notebook.wait("web: hi")
    supervisor.hurry.set()
    began = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - began < 1.0


async def test_a_program_that_never_gets_ready_is_given_up(supervisor: Supervisor) -> None:
    with pytest.raises(NotReady, match="web did not become ready; its lines above say why"):
        await supervisor.start(shell("web", "exec sleep 600", ready=lambda: False), seconds=0.3)


async def test_a_layer_waits_until_all_in_it_are_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    await supervisor.start(shell("web", f"sleep 0.3; touch {flag}; exec sleep 600", ready=flag.exists))
    assert flag.exists()


async def test_a_one_off_returns_its_status_and_its_last_words(supervisor: Supervisor, notebook: Notebook) -> None:
    assert await supervisor.once(shell("release", "printf 'no newline'; exit 4")) == 4
    assert notebook.lines == ["release: no newline"]


async def test_stopping_in_the_middle_of_a_backoff_does_not_wait_for_it(
    supervisor: Supervisor, notebook: Notebook
) -> None:
    await supervisor.start(shell("web", "exit 1"))
    await notebook.wait("again in 2 s")
    began = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - began < 0.5


async def test_a_very_long_line_and_broken_bytes_are_shown(supervisor: Supervisor, notebook: Notebook) -> None:
    await supervisor.once(shell("web", "head -c 300000 /dev/zero | tr '\\0' x; echo; printf '\\377\\n'"))
    assert [len(line) for line in notebook.lines] == [300005, 6]
