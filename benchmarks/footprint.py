"""Memory of each process at rest and after work, and the time each takes to be ready."""

import asyncio
import time
import urllib.error
import urllib.request

import psutil

from benchmarks.mail_server import sink_of
from benchmarks.stage import Publisher, Row, Stage, end, family, settled
from mailroom.ops.embedded.ports import free_port

MAILS = 100_000


def megabytes(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


def worker(stage: Stage, loop: asyncio.Runner, mails: int) -> list[Row]:
    with sink_of(stage.folder, 0) as (port, journal):
        publisher = Publisher(stage.settings(port))
        loop.run(publisher.promise(1))
        publisher.publish()
        began = time.time()
        process = stage.process(
            "-m", "mailroom", "worker", environment=stage.environment(port, WORKER_PROCESSES="1")
        )
        ready = journal.wait_for(1)[0] - began
        time.sleep(3)
        (one,) = family(process)
        rest = megabytes(one)
        for start in range(0, mails, 10_000):
            publisher.promise_at_once(min(10_000, mails - start))
            publisher.publish_many(500)
            journal.wait_for(1 + min(start + 10_000, mails), 600)
        settled(stage, 120)
        loaded = megabytes(one)
        loop.run(publisher.services.database.close())
        publisher.celery.close()
        end(process)
    return [
        Row("start of a worker, until its first mail is accepted", f"{ready:.1f} s"),
        Row("memory of a worker process at rest", f"{rest:.0f} MB", wanted="under 125 MB"),
        Row(f"… after {mails} mails", f"{loaded:.0f} MB", wanted="under 160 MB after 100,000"),
    ]


def web(stage: Stage) -> list[Row]:
    port = free_port()
    began = time.time()
    process = stage.process("-m", "mailroom", "web", environment=stage.environment(9, PORT=str(port)))
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).read()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    ready = time.time() - began
    time.sleep(1)
    rest = megabytes(family(process)[0])
    end(process)
    return [
        Row("start of a web process, until it answers", f"{ready:.1f} s"),
        Row("memory of a web process at rest", f"{rest:.0f} MB"),
    ]


def measure(stage: Stage, loop: asyncio.Runner, mails: int = MAILS) -> list[Row]:
    return [*worker(stage, loop, mails), *web(stage)]
