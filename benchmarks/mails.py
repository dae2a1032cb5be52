"""Mailroom beside the usual recipe: `make bench`. Real servers, one run, interleaved; prints and writes a table.

The rows that matter are ratios of two figures taken in the same run; absolute ones depend on the machine.
"""

import asyncio
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import redis
from alembic import command
from alembic.config import Config
from celery import Celery
from rich.console import Console
from rich.table import Table

from mailroom import bootstrap
from mailroom.jobs.app import configured
from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.postgres import running_postgres
from mailroom.ops.embedded.valkey import running_valkey
from mailroom.settings import Settings, load
from mailroom.settings.urls import database_url

ROOT = Path(__file__).parents[1]
PROCESSES = os.cpu_count() or 1
ROUNDS = 3
# delay of the mail server in seconds: mails a round, for Mailroom and for the usual recipe
LOADS = {0.0: (1500, 1500), 0.2: (1000, 100)}
IDLE_MAILS = 60


class Stage:
    """The servers and processes of one run."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.postgres = stack.enter_context(running_postgres(folder / "postgres"))
        self.valkey = stack.enter_context(running_valkey(folder / "valkey"))
        config = Config(toml_file=ROOT / "pyproject.toml")
        config.attributes["url"] = database_url(self.postgres.url)
        command.upgrade(config, "head")

    def settings(self, smtp_port: int) -> Settings:
        return load(
            database_url=self.postgres.url,
            redis_url=self.valkey.url,
            smtp_url=f"smtp://127.0.0.1:{smtp_port}?starttls=never",
            mail_from="hello@example.org",
            public_url="http://localhost:8000",
            secret_key="a-key-for-benchmarks-only-but-long-enough",
        )

    def environment(self, smtp_port: int) -> dict[str, str]:
        told = self.settings(smtp_port)
        return {
            **os.environ,
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "SMTP_URL": told.smtp_url,
            "MAIL_FROM": told.mail_from,
            "PUBLIC_URL": told.public_url,
            "SECRET_KEY": told.secret_key.get_secret_value(),
            "WORKER_PROCESSES": str(PROCESSES),
            "LOG_LEVEL": "warning",
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "BENCH_REDIS": self.valkey.url.rpartition("/")[0] + "/1",
            "BENCH_SMTP_PORT": str(smtp_port),
        }

    def process(self, *command: str, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (self.folder / "output.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
            )
        self.stack.callback(_end, process)
        return process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Journal:
    """When the sink took each mail."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def times(self) -> list[float]:
        return [float(line) for line in self._path.read_text().splitlines()]

    def wait_for(self, count: int, seconds: float = 120) -> list[float]:
        until = time.monotonic() + seconds
        while len(times := self.times()) < count:
            assert time.monotonic() < until, f"only {len(times)} of {count} mails in {seconds} s"
            time.sleep(0.02)
        return times


@contextmanager
def sink_of(stage: Stage, delay: float) -> Iterator[tuple[int, Journal]]:
    port = free_port()
    journal = Journal(stage.folder / f"journal-{port}")
    process = stage.process(
        str(ROOT / "benchmarks/sink.py"), str(port), str(delay), str(stage.folder / f"journal-{port}")
    )
    time.sleep(0.5)
    yield port, journal
    _end(process)


class Publisher:
    """Promises mails as a web process does: rows first, then messages."""

    def __init__(self, settings: Settings) -> None:
        self.celery = configured(settings, worker=False)
        self.nudged: list[UUID] = []
        self.services = bootstrap.services(settings, self.nudged.extend, lambda *_: None, name="bench")

    async def promise(self, count: int) -> None:
        """Commit `count` mails, a transaction each."""
        for start in range(0, count, 100):
            await asyncio.gather(*(self._one(n) for n in range(start, min(start + 100, count))))

    async def _one(self, number: int) -> None:
        async with self.services.database.begin() as work:
            params = {"sign_up": "0", "browser": "", "email": f"{number}@example.org"}
            await self.services.outbox.put(work, "already_have_account", f"{number}@example.org", params)

    def publish(self) -> float:
        """Send a message for each mail promised; return when the first went out."""
        began = time.time()
        ids, self.nudged[:] = list(self.nudged), []
        for mail_id in ids:
            self.celery.send_task("mailroom.deliver", [str(mail_id)], task_id=str(mail_id), retry=False)
        return began


def rate(began: float, times: list[float]) -> float:
    return len(times) / (max(times) - began)


def ours(stage: Stage, delay: float, count: int, loop: asyncio.Runner) -> float:
    with sink_of(stage, delay) as (port, journal):
        publisher = Publisher(stage.settings(port))
        worker = stage.process("-m", "mailroom", "worker", environment=stage.environment(port))
        loop.run(publisher.promise(PROCESSES * 4))
        publisher.publish()
        journal.wait_for(PROCESSES * 4)  # warm
        done = len(journal.times())
        loop.run(publisher.promise(count))
        began = publisher.publish()
        times = journal.wait_for(done + count)[done:]
        loop.run(publisher.services.database.close())
        _end(worker)
        return rate(began, times)


def usual(stage: Stage, delay: float, count: int) -> tuple[float, float]:
    """Return the usual recipe's mails a second, and the same worker's empty tasks a second."""
    with sink_of(stage, delay) as (port, journal):
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
        began = time.time()
        for number in range(count):
            client.send_task("benchmarks.usual.send", [f"{number}@example.org"])
        mails = rate(began, journal.wait_for(done + count, 300)[done:])
        with redis.Redis.from_url(environment["BENCH_REDIS"]) as server:
            results = server.dbsize()
            began, tasks = time.time(), 1500
            for _ in range(tasks):
                client.send_task("benchmarks.usual.empty")
            while server.dbsize() < results + tasks:
                time.sleep(0.01)
            empty = tasks / (time.time() - began)
            server.flushdb()
        client.close()
        _end(worker)
        return mails, empty


def one_at_a_time(stage: Stage, loop: asyncio.Runner) -> tuple[list[float], list[float]]:
    """Return seconds from commit to the server's 250, and of an empty task's round trip, on an idle system."""
    with sink_of(stage, 0) as (port, journal):
        environment = stage.environment(port)
        publisher = Publisher(stage.settings(port))
        workers = [
            stage.process("-m", "mailroom", "worker", environment={**environment, "WORKER_PROCESSES": "1"}),
            stage.process(
                "-m", "celery", "-A", "benchmarks.usual", "worker", "--pool=threads", "--loglevel=warning",
                environment=environment,
            ),
        ]  # fmt: skip
        loop.run(publisher.promise(3))
        publisher.publish()
        journal.wait_for(3)
        client = Celery(broker=environment["BENCH_REDIS"], backend=environment["BENCH_REDIS"])
        client.conf.task_default_queue = "usual"
        client.send_task("benchmarks.usual.empty").get(timeout=30)
        mails, tasks = [], []
        for number in range(IDLE_MAILS):
            loop.run(publisher.promise(1))
            began = publisher.publish()
            mails.append(journal.wait_for(4 + number)[-1] - began)
            began = time.time()
            client.send_task("benchmarks.usual.empty").get(timeout=30)
            tasks.append(time.time() - began)
        loop.run(publisher.services.database.close())
        client.close()
        for worker in workers:
            _end(worker)
        return mails, tasks


def main() -> None:
    rows: list[tuple[str, str, str, str]] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, asyncio.Runner() as loop:
        stage = Stage(stack, Path(folder))
        for delay, (our_count, usual_count) in LOADS.items():
            figures = [
                (ours(stage, delay, our_count, loop), *usual(stage, delay, usual_count)) for _ in range(ROUNDS)
            ]
            mails, recipe, empty = (statistics.median(column) for column in zip(*figures, strict=True))
            ratio = statistics.median(a / b for a, b, _ in figures)
            what = f"single mails, server takes {delay * 1000:.0f} ms"
            rows.append((what, f"{mails:.0f}/s", f"usual recipe {recipe:.0f}/s", f"{ratio:.1f} times"))
            if delay == 0:
                share = statistics.median(a / c for a, _, c in figures)
                rows.append((what, f"{mails:.0f}/s", f"empty tasks {empty:.0f}/s", f"{share:.2f} times"))
        mails, tasks = one_at_a_time(stage, loop)
        median, other = statistics.median(mails) * 1000, statistics.median(tasks) * 1000
        what = "one mail on an idle system, publish to 250"
        rows.append((what, f"{median:.1f} ms", f"empty task {other:.1f} ms", f"{median / other:.1f} times"))
    show(rows)


def show(rows: list[tuple[str, str, str, str]]) -> None:
    heads = ("what", "Mailroom", "beside it", "ratio")
    table = Table(*heads)
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)
    machine = (
        f"{PROCESSES} cores, {platform.machine()}, Python {platform.python_version()}, Celery {version('celery')}"
    )
    lines = [
        "# Results",
        "",
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {machine}.",
        f"Medians of {ROUNDS} rounds, interleaved.",
        "Absolute figures are this machine's; the ratios travel. Both sides share the cores with the publisher",
        "and the mail server; Mailroom keeps three durable records a mail, the usual recipe none.",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
    (ROOT / "benchmarks/RESULTS.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
