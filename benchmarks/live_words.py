"""The live benchmark's figures in words: benchmarks/LIVE.md."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

Lag = tuple[float, float]
"""Median and 99th percentile, in seconds."""


@dataclass
class Row:
    """Mailroom with so many tasks watched through so many sockets."""

    tasks: int
    sockets: int
    commands: float
    cpu: float
    database: float
    lag: Lag
    stall: tuple[float, float]
    """Seconds: the longest wait for an answer, and the most that the loop computed during one."""


@dataclass
class Usual:
    """The usual way with so many pages, each with its task."""

    tasks: int
    commands: float
    cpu: float
    answered: float
    lag: Lag


@dataclass
class Figures:
    """All that was measured in one run."""

    rows: list[Row]
    memories: list[tuple[int, float, float]]
    """Sockets, bytes a socket, seconds it took to open them."""
    usual: list[Usual]
    everybody: Lag
    everybody_stall: tuple[float, float]
    rounds: list[float]
    """Bytes of resident memory after each round of connects and disconnects."""
    halted: dict[str, Any]
    """Of a process that is stopped: its `sockets`, for how many `seconds`, the `memory` that the web grew by, how
    many were `dropped`, how many came `back`; the lag of others `before` and `during` that."""
    step: float
    minutes: float
    load: float


def milliseconds(lag: Lag) -> str:
    return f"{lag[0] * 1000:.0f} / {lag[1] * 1000:.0f} ms"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def words(found: Figures) -> str:
    """Return the page."""
    usual = {one.tasks: one for one in found.usual}
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    versions = ", ".join(f"{name} {version(name)}" for name in ("Hypercorn", "Quart", "uvloop", "redis", "celery"))
    largest, base = max(found.rows, key=lambda row: (row.tasks, row.sockets)), found.rounds[1]
    halted, biggest = found.halted, found.memories[-1]
    commands = max(row.commands for row in found.rows if row.tasks == largest.tasks)
    achieved, wanted = usual[largest.tasks].commands / commands, largest.tasks * 2 / commands
    smaller = found.memories[-2]
    marginal = (biggest[0] * biggest[1] - smaller[0] * smaller[1]) / (biggest[0] - smaller[0])
    opened = (biggest[0] - smaller[0]) / biggest[2]
    lines = [
        "# Live progress, measured",
        "",
        f"Written by `make bench-live` on {datetime.now(UTC):%Y-%m-%d}: {machine}; {versions}.",
        f"Load of the machine when it began {found.load:.1f}; {found.minutes:.1f} minutes. One `mailroom web`",
        "process, real PostgreSQL and Valkey; sockets, reports and servers share the cores with it.",
        "",
        "## Mailroom: one poller, websockets",
        "",
        "Redis commands and processor time with nothing going on; then the lag from `report()` in a process of",
        "its own to the client, median / 99th percentile. `/healthz` is asked every 10 ms meanwhile: the longest",
        "wait, in which the loop may have had no processor, and the most that the loop itself computed in one.",
        "",
        *table(
            (
                "tasks watched",
                "sockets",
                "Redis commands/s",
                "web CPU",
                "PostgreSQL CPU",
                "lag",
                "longest stall, of it computing",
            ),
            [
                (
                    f"{row.tasks:,}",
                    f"{row.sockets:,}",
                    f"{row.commands:.1f}",
                    f"{row.cpu:.0f} %",
                    f"{row.database:.0f} %",
                    milliseconds(row.lag),
                    milliseconds(row.stall),
                )
                for row in found.rows
            ],
        ),
        "## The usual way: each page asks for its task twice a second",
        "",
        "A Quart route over `AsyncResult` under the same Hypercorn and loop. Lag is the time for an answer plus",
        "the half second between two questions, at the median and at its worst.",
        "",
        *table(
            ("tasks watched", "wanted requests/s", "answered/s", "Redis commands/s", "server CPU", "lag"),
            [
                (
                    f"{one.tasks:,}",
                    f"{one.tasks * 2:,}",
                    f"{one.answered:.0f}",
                    f"{one.commands:.0f}",
                    f"{one.cpu:.0f} %",
                    milliseconds((one.lag[0] + 0.25, one.lag[1] + 0.5)),
                )
                for one in found.usual
            ],
        ),
        f"At {largest.tasks:,} tasks the usual way runs {achieved:.0f} times the Redis commands, and would run",
        f"{wanted:.0f} times as many could it keep up.",
        "",
        "## Memory, crowds, and clients that misbehave",
        "",
        *table(
            ("what", "measured"),
            [
                (
                    f"memory a socket, {biggest[0]:,} sockets and {largest.tasks:,} tasks, after messages",
                    f"{biggest[1] / 1000:.0f} KB, all that the process grew by ({opened:.0f} handshakes/s)",
                ),
                (
                    f"memory of each socket from {smaller[0]:,} to {biggest[0]:,}",
                    f"{marginal / 1000:.0f} KB",
                ),
                (f"one task, {biggest[0]:,} sockets: lag, all of them counted", milliseconds(found.everybody)),
                ("the same: longest stall, of it computing", milliseconds(found.everybody_stall)),
                (
                    f"memory after {len(found.rounds) * biggest[0]:,} connects and disconnects",
                    f"{(found.rounds[-1] - base) / 1e6:+.1f} MB since the second {biggest[0]:,}",
                ),
                (
                    f"{halted['sockets']} sockets of a client stopped (SIGSTOP) for {halted['seconds']:.0f} s",
                    f"{halted['memory'] / 1e6:+.1f} MB; {halted['dropped']} let go; {halted['back']} came back",
                ),
                (
                    f"lag of {halted['sockets']} others before, and meanwhile",
                    f"{milliseconds(halted['before'])}, {milliseconds(halted['during'])}",
                ),
                ("longest step of the poller in the whole run, processor time", f"{found.step * 1000:.0f} ms"),
            ],
        ),
    ]
    return "\n".join(lines)
