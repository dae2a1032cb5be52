"""The servers and processes of one run, and what is measured on them."""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psutil
import psycopg
import redis
from alembic import command
from alembic.config import Config

from benchmarks.mail_server import Journal
from mailroom.bootstrap.services import create_services
from mailroom.jobs.app import create_celery
from mailroom.ops.embedded.postgres import running_postgres
from mailroom.ops.embedded.valkey import running_valkey
from mailroom.settings import Settings, load
from mailroom.settings.urls import database_url

ROOT = Path(__file__).parents[1]
PROCESSES = os.cpu_count() or 1


MAILING = """
insert into mails (id, kind, recipient, params, nonce, on_uncertain, nudge_at, expires_at)
select gen_random_uuid(), 'confirm_sign_up', number || '@example.org',
    '{"sign_up": "0", "browser": "Firefox on Linux"}', uuid_send(gen_random_uuid()), 'resend',
    now() + interval '1 hour', now() + interval '2 days'
from generate_series(1, %s) as number
returning id
"""


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure of ours, the one beside it, and how they compare."""

    what: str
    ours: str
    beside: str = ""
    ratio: str = ""
    wanted: str = ""


def compared(what: str, pairs: Sequence[tuple[float, float]], name: str, unit: str, wanted: str) -> Row:
    """Return a row of medians; the ratio is the median of the rounds' ratios."""
    ours, beside = (statistics.median(figures) for figures in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    return Row(what, f"{ours:.0f}{unit}", f"{name} {beside:.0f}{unit}", f"{ratio:.2f} times", wanted)


class Stage:
    """PostgreSQL and Valkey, and the processes started beside them."""

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

    def environment(self, smtp_port: int, **more: str) -> dict[str, str]:
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
            "PYTHONWARNINGS": "ignore",
            "BENCH_REDIS": self.valkey.url.rpartition("/")[0] + "/1",
            "BENCH_SMTP_PORT": str(smtp_port),
            **more,
        }

    def process(self, *words: str, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (self.folder / "output.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *words],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
            )
        self.stack.callback(end, process)
        return process

    def forget(self) -> None:
        """Delete all rows and messages, so that the next who measures meets nothing of the last."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute("truncate mails, messages, tasks, sign_ups, sessions cascade")
        with redis.Redis.from_url(self.valkey.url) as server:
            server.flushall()

    def count(self, query: str) -> int:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row
        return int(row[0])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process as its platform would; by force if it takes too long."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return a process and what it started."""
    root = psutil.Process(process.pid)
    return [root, *root.children(recursive=True)]


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU time these have taken so far, in user and kernel."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measured(
    stage: Stage, worker: subprocess.Popen[bytes], journal: Journal, count: int, publish: Callable[[], float]
) -> tuple[float, float]:
    """Publish `count` mails; return mails a second, and the CPU seconds of the worker's processes for each."""
    done, workers = len(journal.times()), family(worker)
    cpu = cpu_seconds(workers)
    began = publish()
    times = journal.wait_for(done + count)[done:]
    settled(stage)
    return rate(began, times), (cpu_seconds(workers) - cpu) / count


class Publisher:
    """Promises mails as a web process does: rows first, then messages."""

    def __init__(self, settings: Settings) -> None:
        self.celery = create_celery(settings, worker=False)
        self.nudged: list[UUID] = []
        self.services = create_services(settings, self.nudged.extend, lambda *_, **__: None, name="bench")

    async def promise(self, count: int) -> None:
        """Commit `count` mails, a transaction each."""
        for start in range(0, count, 100):
            await asyncio.gather(*(self._one(n) for n in range(start, min(start + 100, count))))

    async def _one(self, number: int) -> None:
        async with self.services.database.begin() as work:
            params = {"sign_up": "0", "browser": "Firefox on Linux"}
            await self.services.outbox.put(work, "confirm_sign_up", f"{number}@example.org", params)

    def promise_at_once(self, count: int) -> None:
        """Commit `count` mails in one statement, as a mailing would."""
        with psycopg.connect(self.services.settings.database_url.replace("+psycopg", "")) as connection:
            self.nudged += [row[0] for row in connection.execute(MAILING, (count,))]

    def publish(self) -> float:
        """Send a message for each mail promised; return when the first went out."""
        began = time.time()
        ids, self.nudged[:] = list(self.nudged), []
        for mail_id in ids:
            self.celery.send_task("mailroom.deliver", [str(mail_id)], task_id=str(mail_id), retry=False)
        return began

    def publish_many(self, at_once: int) -> float:
        """Send a message for each `at_once` mails promised; return when the first went out."""
        began = time.time()
        ids, self.nudged[:] = [str(mail_id) for mail_id in self.nudged], []
        for start in range(0, len(ids), at_once):
            self.celery.send_task("mailroom.send_many", [ids[start : start + at_once]], ignore_result=True)
        return began


def rate(began: float, times: Sequence[float]) -> float:
    return len(times) / (max(times) - began)


def centile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def settled(stage: Stage, seconds: float = 30) -> None:
    """Wait until every mail's end is recorded, and none is lost on the way."""
    until = time.monotonic() + seconds
    while open_ones := stage.count("select count(*) from mails where state <> 'sent'"):
        assert time.monotonic() < until, f"{open_ones} mails not recorded as sent"
        time.sleep(0.1)
