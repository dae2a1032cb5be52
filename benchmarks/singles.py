"""Single mails, a task each: beside the usual recipe, and beside empty tasks of the same recipe's worker."""

import asyncio
import statistics
import time

import redis
from celery import Celery

from benchmarks.mail_server import sink_of
from benchmarks.stage import PROCESSES, Publisher, Row, Stage, cpu_seconds, end, family, measured, rate

ROUNDS = 3
LOADS = {0.0: (1000, 1000), 0.2: (1500, 60)}
"""Delay of the mail server in seconds: mails a round, for Mailroom and for the usual recipe."""
WANTED = {0.0: "at least as many", 0.2: "at least 8 times"}


def ours(stage: Stage, delay: float, count: int, loop: asyncio.Runner) -> tuple[float, float]:
    """Return mails a second, and the worker processes' CPU milliseconds for each."""
    with sink_of(stage.folder, delay) as (port, journal):
        publisher = Publisher(stage.settings(port))
        worker = stage.process("-m", "mailroom", "worker", environment=stage.environment(port))
        loop.run(publisher.promise(PROCESSES * 4))
        publisher.publish()
        journal.wait_for(PROCESSES * 4)  # warm
        publisher.promise_at_once(count)  # one by one, the first would be overdue before the last is there
        mails, cpu = measured(stage, worker, journal, count, publisher.publish)
        loop.run(publisher.services.database.close())
        publisher.celery.close()
        end(worker)
        return mails, cpu * 1000


def usual(stage: Stage, delay: float, count: int) -> tuple[float, float, float]:
    """Return the usual recipe's mails a second, its CPU milliseconds for each, and its empty tasks a second."""
    with sink_of(stage.folder, delay) as (port, journal):
        environment = stage.environment(port)
        options = ["--pool=prefork", f"--concurrency={PROCESSES}", "--loglevel=warning"]
        worker = stage.process(
            "-m", "celery", "-A", "benchmarks.usual", "worker", *options, environment=environment
        )
        client = Celery(broker=environment["BENCH_REDIS"], backend=None)
        client.conf.task_default_queue = "usual"
        for _ in range(PROCESSES * 2):
            client.send_task("benchmarks.usual.send", ["warm@example.org"])
        done = len(journal.wait_for(PROCESSES * 2))
        workers = family(worker)
        cpu = cpu_seconds(workers)
        began = time.time()
        for number in range(count):
            client.send_task("benchmarks.usual.send", [f"{number}@example.org"])
        mails = rate(began, journal.wait_for(done + count, 300)[done:])
        cpu = cpu_seconds(workers) - cpu
        with redis.Redis.from_url(environment["BENCH_REDIS"]) as server:
            results = server.dbsize()
            began, tasks = time.time(), 1000
            for _ in range(tasks):
                client.send_task("benchmarks.usual.empty")
            while server.dbsize() < results + tasks:
                time.sleep(0.01)
            empty = tasks / (time.time() - began)
            server.flushdb()
        client.close()
        end(worker)
        return mails, cpu / count * 1000, empty


def measure(stage: Stage, loop: asyncio.Runner) -> list[Row]:
    rows = []
    for delay, (our_count, usual_count) in LOADS.items():
        figures = [
            (*ours(stage, delay, our_count, loop), *usual(stage, delay, usual_count)) for _ in range(ROUNDS)
        ]
        mails, cpu, recipe, recipe_cpu, empty = map(statistics.median, zip(*figures, strict=True))
        what = f"single mails, server takes {delay * 1000:.0f} ms"
        ratio = statistics.median(figure[0] / figure[2] for figure in figures)
        rows.append(
            Row(what, f"{mails:.0f}/s", f"usual recipe {recipe:.0f}/s", f"{ratio:.1f} times", WANTED[delay])
        )
        if not delay:
            share = statistics.median(figure[0] / figure[4] for figure in figures)
            rows.append(
                Row(what, f"{mails:.0f}/s", f"empty tasks {empty:.0f}/s", f"{share:.2f} times", "at least 0.7")
            )
            rows.append(Row("… CPU of the workers for each", f"{cpu:.1f} ms", f"usual recipe {recipe_cpu:.1f} ms"))
    return rows
