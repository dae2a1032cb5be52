"""Many mails in one task, as sweeps and mailings send them, with a durable row for each."""

import asyncio
import shutil
import statistics
import subprocess
import time

import psutil

from benchmarks.mail_server import sink_of
from benchmarks.stage import PROCESSES, Publisher, Row, Stage, cpu_seconds, end, measured, rate

ROUNDS = 3
MAILS = 10_000
AT_ONCE = 500
CONNECTIONS = 64
WARM_UP = PROCESSES * 100


def ours(stage: Stage, loop: asyncio.Runner) -> tuple[float, float]:
    """Return mails a second and the worker processes' CPU microseconds for each."""
    with sink_of(stage.folder, 0) as (port, journal):
        publisher = Publisher(stage.settings(port))
        environment = stage.environment(port, SMTP_CONNECTIONS=str(CONNECTIONS // PROCESSES))
        worker = stage.process("-m", "mailroom", "worker", environment=environment)
        publisher.promise_at_once(WARM_UP)
        publisher.publish_many(50)
        journal.wait_for(WARM_UP)
        publisher.promise_at_once(MAILS)
        mails, cpu = measured(stage, worker, journal, MAILS, lambda: publisher.publish_many(AT_ONCE))
        loop.run(publisher.services.database.close())
        publisher.celery.close()
        end(worker)
        return mails, cpu * 1_000_000


def least(stage: Stage) -> tuple[float, float]:
    """Like `ours`, of the least that keeps the promise (`least_many.py`)."""
    with sink_of(stage.folder, 0) as (port, journal):
        publisher = Publisher(stage.settings(port))
        words = ("-m", "benchmarks.least_many", str(port), str(CONNECTIONS // PROCESSES))
        senders = [stage.process(*words, environment=stage.environment(port)) for _ in range(PROCESSES)]
        publisher.promise_at_once(WARM_UP)
        journal.wait_for(WARM_UP)
        members, began = [psutil.Process(sender.pid) for sender in senders], time.time()
        cpu = cpu_seconds(members)
        publisher.promise_at_once(MAILS)
        times = journal.wait_for(WARM_UP + MAILS)[WARM_UP:]
        cpu = cpu_seconds(members) - cpu
        for sender in senders:
            end(sender)
        return rate(max(began, min(times)), times), cpu / MAILS * 1_000_000


def source(stage: Stage) -> float:
    """Return the mails a second that a program does which only sends."""
    with sink_of(stage.folder, 0) as (port, journal):
        began = time.time()
        if found := shutil.which("smtp-source"):
            command = [found, "-d", "-s", str(CONNECTIONS), "-m", str(MAILS), "-l", "7000", f"127.0.0.1:{port}"]
            subprocess.run(command, check=True)
        else:
            share = (str(port), str(MAILS // PROCESSES), str(CONNECTIONS // PROCESSES))
            for process in [stage.process("benchmarks/source.py", *share) for _ in range(PROCESSES)]:
                process.wait()
        times = journal.wait_for(MAILS // PROCESSES * PROCESSES)
        return rate(max(began, min(times)), times)


def measure(stage: Stage, loop: asyncio.Runner) -> list[Row]:
    figures = [(*ours(stage, loop), *least(stage), source(stage)) for _ in range(ROUNDS)]
    mails, cpu, least_mails, least_cpu, alone = map(statistics.median, zip(*figures, strict=True))
    ratio = statistics.median(figure[0] / figure[4] for figure in figures)
    name = "smtp-source" if shutil.which("smtp-source") else "ready bytes alone (Python)"
    return [
        Row(
            f"{MAILS} mails in tasks of {AT_ONCE}, a durable row each",
            f"{mails:.0f}/s",
            f"{name} {alone:.0f}/s",
            f"{ratio:.2f} times",
            "5,000/s or 0.4",
        ),
        Row(
            "… beside the least that keeps the promise",
            f"{mails:.0f}/s",
            f"claims, line, endings alone {least_mails:.0f}/s",
            f"{statistics.median(figure[0] / figure[2] for figure in figures):.2f} times",
        ),
        Row("… CPU of the workers for each", f"{cpu:.0f} µs", f"the least {least_cpu:.0f} µs"),
    ]
