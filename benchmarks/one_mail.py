"""One mail on an idle system: from commit to the server's 250, beside an empty task's round trip."""

import asyncio
import gc
import time

from celery import Celery

from benchmarks.mail_server import sink_of
from benchmarks.stage import Publisher, Row, Stage, centile, end

MAILS = 100


def one_at_a_time(stage: Stage, loop: asyncio.Runner) -> tuple[list[float], list[float]]:
    """Return seconds for each mail and for each empty task, taken in turn."""
    with sink_of(stage.folder, 0) as (port, journal):
        environment = stage.environment(port)
        publisher = Publisher(stage.settings(port))
        options = ["--pool=threads", "--loglevel=warning"]
        workers = [
            stage.process("-m", "mailroom", "worker", environment={**environment, "WORKER_PROCESSES": "1"}),
            stage.process("-m", "celery", "-A", "benchmarks.usual", "worker", *options, environment=environment),
        ]
        loop.run(publisher.promise(3))
        publisher.publish()
        journal.wait_for(3)
        client = Celery(broker=environment["BENCH_REDIS"], backend=environment["BENCH_REDIS"])
        client.conf.task_default_queue = "usual"
        client.send_task("benchmarks.usual.empty").get(timeout=30)
        mails, tasks = [], []
        for number in range(MAILS):
            loop.run(publisher.promise(1))
            began = publisher.publish()
            mails.append(journal.wait_for(4 + number)[-1] - began)
            began = time.time()
            client.send_task("benchmarks.usual.empty").get(timeout=30)
            tasks.append(time.time() - began)
        loop.run(publisher.services.database.close())
        publisher.celery.close()
        gc.collect()  # results let go only once Redis has gone would each wait for it, 20 seconds
        client.close()
        for worker in workers:
            end(worker)
        return mails, tasks


def measure(stage: Stage, loop: asyncio.Runner) -> list[Row]:
    mails, tasks = ([seconds * 1000 for seconds in figures] for figures in one_at_a_time(stage, loop))
    (middle, late), (empty, empty_late) = (
        (centile(figures, 50), centile(figures, 99)) for figures in (mails, tasks)
    )
    what = "one mail on an idle system, commit to 250"
    return [
        Row(
            f"{what}, p50",
            f"{middle:.1f} ms",
            f"empty task {empty:.1f} ms",
            f"{middle / empty:.1f} times",
            "at most 2.5",
        ),
        Row(f"{what}, p99", f"{late:.1f} ms", f"empty task {empty_late:.1f} ms", f"{late / empty_late:.1f} times"),
    ]
