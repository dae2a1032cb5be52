"""What our skin over kombu buys: `python -m benchmarks.skin`, about five minutes.

Two parts, each beside what the library does by itself, in interleaved rounds; only the ratios travel.

reading       `jobs/broker/channel.py` and `batch_ack.py`: single mails, with the worker as it is (`ours`), with
              kombu's own channel (`stock`), and with messages that only wake a worker, which claims from the
              table (`wake`).
publishing    `jobs/broker/encoding.py`: our encoding and one LPUSH, beside kombu's `Producer.batch()`.
"""

import argparse
import asyncio
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import redis

from benchmarks.mail_server import sink_of
from benchmarks.stage import PROCESSES, Publisher, Stage, cpu_seconds, end, rate, settled
from mailroom.jobs.app import QUEUE, create_celery
from mailroom.jobs.broker.encoding import TaskMessage, encode
from mailroom.settings import Settings

WAYS = ("ours", "stock", "wake")
MAILS = 2_000
MESSAGES = 5_000
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.skin", description=__doc__)
    parser.add_argument("--only", choices=["reading", "publishing"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, asyncio.Runner() as loop:
        stage = Stage(stack, Path(folder))
        if told.only != "reading":
            publishing(stage, told.rounds)
        if told.only != "publishing":
            reading(stage, told.rounds, loop)


def reading(stage: Stage, rounds: int, loop: asyncio.Runner) -> None:
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
            mails, cpu = _mails(stage, way, loop)
            found[way].append((mails, cpu * 1000))
            print(f"  {way:<6} {mails:.0f} mails/s, {cpu * 1000:.2f} ms of the workers' CPU each", flush=True)
    for way in WAYS[1:]:
        speed = [ours[0] / other[0] for ours, other in zip(found["ours"], found[way], strict=True)]
        cpu_ratio = [other[1] / ours[1] for ours, other in zip(found["ours"], found[way], strict=True)]
        print(
            f"reading: ours is {_spread(speed)} times as fast as {way}, "
            f"which takes {_spread(cpu_ratio)} times the CPU"
        )


def _mails(stage: Stage, way: str, loop: asyncio.Runner) -> tuple[float, float]:
    with sink_of(stage.folder, 0.0) as (port, journal):
        publisher = Publisher(stage.settings(port))
        workers = stage.environment(port, WORKER_PROCESSES="1")
        processes = [
            stage.process("-m", "benchmarks.skin_worker", way, environment=workers) for _ in range(PROCESSES)
        ]
        loop.run(publisher.promise(PROCESSES * 4))
        publisher.publish()
        journal.wait_for(PROCESSES * 4)  # warm
        alive = [psutil.Process(process.pid) for process in processes]
        done = len(journal.times())
        with _stopped(processes):  # else whoever reads the table need not wait for the publisher, which is slow
            publisher.promise_at_once(MAILS)
            publisher.publish()
            before = cpu_seconds(alive)
        began = time.time()
        mails = rate(began, journal.wait_for(done + MAILS)[done:])
        settled(stage)
        cpu = (cpu_seconds(alive) - before) / MAILS
        loop.run(publisher.services.database.close())
        publisher.celery.close()
        for process in processes:
            end(process)
        stage.forget()
        return mails, cpu


@contextmanager
def _stopped(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def publishing(stage: Stage, rounds: int) -> None:
    settings = stage.settings(9)
    for size in (1, 500):
        ratios = []
        for _ in range(rounds):
            ours, batch = _ours(settings, size), _batch(settings, size)
            ratios.append(batch / ours)
            print(
                f"  {size} at once: {ours * 1e6:.0f} µs a message, Producer.batch() {batch * 1e6:.0f} µs",
                flush=True,
            )
            with redis.Redis.from_url(stage.valkey.url) as server:
                server.flushall()
        print(f"publishing {size} at once: Producer.batch() takes {_spread(ratios)} times as long")


def _ours(settings: Settings, size: int) -> float:
    app = create_celery(settings, worker=False)
    messages = [TaskMessage("mailroom.deliver", str(uuid4()), [str(uuid4())]) for _ in range(MESSAGES)]
    began = time.perf_counter()
    for start in range(0, MESSAGES, size):
        with app.producer_pool.acquire(block=True) as producer:
            some = messages[start : start + size]
            producer.channel.client.lpush(QUEUE, *(encode(app, producer.channel, message) for message in some))
    took = (time.perf_counter() - began) / MESSAGES
    app.close()
    return took


def _batch(settings: Settings, size: int) -> float:
    app = create_celery(settings, worker=False)
    ids = [str(uuid4()) for _ in range(MESSAGES)]
    began = time.perf_counter()
    for start in range(0, MESSAGES, size):
        with app.producer_pool.acquire(block=True) as producer, producer.batch(max_size=max(size, 1)):
            for task_id in ids[start : start + size]:
                app.send_task("mailroom.deliver", [task_id], task_id=task_id, retry=False, producer=producer)
    took = (time.perf_counter() - began) / MESSAGES
    app.close()
    return took


def _spread(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
