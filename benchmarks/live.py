"""Live progress beside the usual way: `make bench-live`. Real servers and sockets, one run; LIVE.md."""

import json
import os
import resource
import signal
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.live_stage import Hall, Knocking, Measure, Pen, SocketProcess
from benchmarks.live_words import Figures, Row, Usual, words
from benchmarks.stage import ROOT
from mailroom.ops.embedded.ports import free_port

TASKS = (100, 1_000, 10_000)
SOCKETS = (100, 1_000, 3_000)
REST, LISTEN, ASK = 6.0, 5.0, 8.0
"""Seconds measured with nothing going on, with reports coming, and the usual way."""
DELIVERIES = 400
"""Messages a second while the lag is measured, all sockets together."""
CHURN = 24_000
STOPPED = 60.0
"""Seconds."""
OTHERS = 100
"""Sockets of a process that is stopped, and of one that is not."""
console = Console(width=150)


def shares(tasks: list[str], sockets: int) -> list[list[str]]:
    """Deal the tasks out: each is watched, and each socket watches."""
    if sockets >= len(tasks):
        return [[tasks[number % len(tasks)]] for number in range(sockets)]
    return [tasks[number::sockets] for number in range(sockets)]


def p50_p99(lags: list[float]) -> tuple[float, float]:
    lags.sort()
    return (statistics.median(lags), lags[int(len(lags) * 0.99)]) if lags else (float("nan"), float("nan"))


def listen(
    crowd: SocketProcess, pen: Pen, tasks: list[str], rate: float, seconds: float = LISTEN
) -> dict[str, Any]:
    crowd.order("collect", seconds + 1.5)
    time.sleep(0.1)
    pen.begin(seconds, rate, tasks)
    pen.wait()
    return crowd.answer()


def cell(hall: Hall, crowd: SocketProcess, pen: Pen, tasks: int, sockets: int) -> Row:
    watched = hall.tasks[:tasks]
    dealt = shares(watched, sockets)
    took = crowd.do("watch", dealt)["seconds"]
    time.sleep(2)
    with Measure(hall) as rest:
        crowd.do("collect", REST)
    knocking = Knocking(hall.port, hall.web.pid)
    heard = listen(crowd, pen, watched, DELIVERIES / max(1, sockets / tasks))
    row = Row(tasks, sockets, rest.commands, rest.cpu, rest.database, p50_p99(heard["lags"]), knocking.stop())
    crowd.do("unwatch", dealt)
    console.print(f"  {row} (first snapshots after {took:.1f} s, {heard['messages']} messages)")
    return row


def usual(hall: Hall, tasks: int) -> Usual:
    port, script = free_port(), str(ROOT / "benchmarks/live_usual.py")
    server = hall.process(script, "server", str(port), environment=hall.told)
    time.sleep(2)
    client = hall.piped(script, "client", str(port), str(ASK))
    with Measure(hall, psutil.Process(server.pid)) as measured:
        out, _ = client.communicate("\n".join(hall.tasks[:tasks]))
    found = json.loads(out)
    server.kill()  # it would wait for its clients' connections
    server.wait()
    whole = measured.took / ASK  # the client's start and end are no part of it
    lag = (found["p50"], found["p99"])
    other = Usual(tasks, measured.commands * whole, min(100.0, measured.cpu * whole), found["answered"], lag)
    console.print(f"  {other}")
    return other


def fan_out(hall: Hall, crowd: SocketProcess, pen: Pen) -> tuple[tuple[float, float], tuple[float, float]]:
    """One task, every socket: how long until the last has heard."""
    dealt = [[hall.tasks[0]] for _ in range(SOCKETS[-1])]
    crowd.do("watch", dealt)
    knocking = Knocking(hall.port, hall.web.pid)
    heard = listen(crowd, pen, hall.tasks[:1], 0.4, 10)
    stall = knocking.stop()
    crowd.do("unwatch", dealt)
    return p50_p99(heard["lags"]), stall


def churn(hall: Hall, crowd: SocketProcess) -> list[float]:
    """Connect, watch, disconnect, 3,000 at a time; memory after each round."""
    memories = []
    for _ in range(CHURN // SOCKETS[-1]):
        crowd.do("open", SOCKETS[-1])
        crowd.do("watch", shares(hall.tasks[:1_000], SOCKETS[-1]))
        crowd.do("close")
        time.sleep(1)
        memories.append(hall.memory())
    console.print("  MB after each round:", *(f"{memory / 1e6:.1f}" for memory in memories))
    return memories


def stopped(hall: Hall, pen: Pen) -> dict[str, Any]:
    """Sockets of a process that is stopped, beside as many that are not."""
    well, ill, watched = hall.crowd(), hall.crowd(), hall.tasks[:OTHERS]
    for crowd in (well, ill):
        crowd.do("open", OTHERS)
        crowd.do("watch", [watched] * OTHERS)
    before = p50_p99(listen(well, pen, watched, 5)["lags"])
    memory, most = hall.memory(), 0.0
    os.kill(ill.process.pid, signal.SIGSTOP)
    well.order("collect", STOPPED)
    pen.begin(STOPPED - 2, 5, watched)
    until = time.monotonic() + STOPPED
    while time.monotonic() < until:
        most = max(most, hall.memory() - memory)
        time.sleep(0.5)
    pen.wait()
    during = p50_p99(well.answer()["lags"])
    os.kill(ill.process.pid, signal.SIGCONT)
    ill.do("collect", 2)
    dropped = ill.do("close")["lost"]
    back = ill.do("open", OTHERS)["open"]
    ill.do("watch", [watched] * OTHERS)
    ill.do("close")
    well.do("close")
    return {
        "sockets": OTHERS,
        "seconds": STOPPED,
        "before": before,
        "during": during,
        "memory": most,
        "dropped": dropped,
        "back": back,
    }


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    began, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        hall = Hall(stack, Path(folder))
        hall.start_web(max(TASKS), max(SOCKETS))
        pen = hall.pen()
        pen.begin(3, 5_000, hall.tasks)
        pen.wait()
        console.print("sockets, tasks")
        crowd, rows, memories = hall.crowd(), [], []
        empty = hall.memory()
        for sockets in SOCKETS:
            opened = crowd.do("open", sockets)["seconds"]
            rows += [cell(hall, crowd, pen, tasks, sockets) for tasks in TASKS]
            memories.append((sockets, (hall.memory() - empty) / sockets, opened))
            console.print(f"  {memories[-1]}")
        console.print("one task, every socket")
        everybody = fan_out(hall, crowd, pen)
        console.print(f"  {everybody}")
        crowd.do("close")
        console.print("the usual way")
        others = [usual(hall, tasks) for tasks in TASKS]
        console.print("connects and disconnects")
        rounds = churn(hall, crowd)
        console.print("a stopped client")
        halted = stopped(hall, pen)
        console.print(f"  {halted}")
        step = hall.poller_longest()
    minutes = (time.monotonic() - began) / 60
    text = words(Figures(rows, memories, others, *everybody, rounds, halted, step, minutes, load))
    console.print(Markdown(text))
    (ROOT / "benchmarks/LIVE.md").write_text(text)


if __name__ == "__main__":
    main()
