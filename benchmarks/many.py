"""Many mails in one task, as sweeps and mailings send them, with a durable row for each."""

import asyncio
import shutil
import statistics
import subprocess
import time

from benchmarks.mail_server import sink_of
from benchmarks.stage import PROCESSES, Publisher, Row, Stage, end, measured, rate

ROUNDS = 3
MAILS = 10_000
AT_ONCE = 500
CONNECTIONS = 64


def ours(stage: Stage, loop: asyncio.Runner) -> tuple[float, float]:
    """Return mails a second and the worker processes' CPU microseconds for each."""
    with sink_of(stage.folder, 0) as (port, journal):
        publisher = Publisher(stage.settings(port))
        environment = stage.environment(port, SMTP_CONNECTIONS=str(CONNECTIONS // PROCESSES))
        worker = stage.process("-m", "mailroom", "worker", environment=environment)
        publisher.promise_at_once(PROCESSES * 100)
        publisher.publish_many(50)
        journal.wait_for(PROCESSES * 100)
        publisher.promise_at_once(MAILS)
        mails, cpu = measured(stage, worker, journal, MAILS, lambda: publisher.publish_many(AT_ONCE))
        loop.run(publisher.services.database.close())
        publisher.celery.close()
        end(worker)
        return mails, cpu * 1_000_000


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
    figures = [(*ours(stage, loop), source(stage)) for _ in range(ROUNDS)]
    mails, cpu, alone = map(statistics.median, zip(*figures, strict=True))
    ratio = statistics.median(figure[0] / figure[2] for figure in figures)
    name = "smtp-source" if shutil.which("smtp-source") else "ready bytes alone (Python)"
    return [
        Row(
            f"{MAILS} mails in tasks of {AT_ONCE}, a durable row each",
            f"{mails:.0f}/s",
            f"{name} {alone:.0f}/s",
            f"{ratio:.2f} times",
            "5,000/s or 0.4",
        ),
        Row("… CPU of the workers for each", f"{cpu:.0f} µs"),
    ]
