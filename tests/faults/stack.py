"""Everything Mailroom needs, as real processes on free ports, each of which can be killed, frozen and cut off."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import redis

from mailroom.bootstrap.services import create_services
from mailroom.jobs.publisher import Publisher
from mailroom.kit.ids import new_id
from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.server import Server
from mailroom.ops.embedded.valkey import Valkey
from mailroom.ops.processes.errors import NotReady
from tests import processes
from tests.conftest import ROOT, SECRET_KEY, migrate, settings_of
from tests.processes import Running
from tests.sink import Sink, wait_for

IN_FLIGHT = 200
"""Mails or sign-ups under way in every fault."""
THREADS = ("mailroom", "worker", "--one")
FLEET = ("mailroom", "worker", "--processes", "2")
PREFORK = ("celery", "-A", "mailroom.worker", "worker", "--loglevel=info", "--pool=prefork", "--concurrency=2")
TEST_KINDS = ("celery", "-A", "tests.faults.worker_app", "worker", "--loglevel=info", "--pool=threads", "-c", "8")
TABLES = (
    "database_identity, smtp_sign_ins, mails, attempts, tasks, password_mails, sign_up_mails, sign_ups, sessions, "
    "accounts, messages, api_keys, idempotent_requests"
)
LATE_ANSWER = "8"
"""Seconds for the answer to the dot here; ten minutes in production."""


class Stack:
    """The servers, the sink, and whatever was started of Mailroom."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres, self.valkey, self.sink = Postgres(folder / "postgres"), Valkey(folder / "valkey"), Sink()
        self.running: list[Running] = []
        self.port, self.submission_port = free_port(), free_port()

    def __enter__(self) -> "Stack":
        self.postgres.start().wait_ready()
        self.valkey.start().wait_ready()
        migrate(self.postgres.url)
        self.sink.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end_all()
        self.sink.stop()
        for server in (self.valkey, self.postgres):
            with contextlib.suppress(ProcessLookupError):
                server.process.send_signal(signal.SIGCONT)
            server.stop()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "SMTP_URL": self.sink.url,
            "MAIL_FROM": "Mailroom <hello@mailroom.example>",
            "PUBLIC_URL": f"http://localhost:{self.port}",
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
            "SUBMISSION_PORT": str(self.submission_port),
            "SECRET_KEY": SECRET_KEY,
            "WORKER_PROCESSES": "1",
            "TRUSTED_PROXIES": "1",
            "SMTP_CONNECT_TIMEOUT": "3",
            "SMTP_COMMAND_TIMEOUT": "4",
            "SMTP_DATA_TIMEOUT": "4",
            "SMTP_ACCEPT_TIMEOUT": LATE_ANSWER,
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }

    # -- Mailroom's processes

    def begin_worker(self, command: tuple[str, ...] = THREADS, **settings: str) -> Running:
        """Start a worker without waiting for it."""
        environment = {**self.environment, **settings}
        process = Running("worker", command, environment, self.folder)
        self.running.append(process)
        return process

    def worker(self, command: tuple[str, ...] = THREADS, **settings: str) -> Running:
        """Start a worker; it is ready when this returns."""
        process = self.begin_worker(command, **settings)
        process.wait_for(" ready.")
        return process

    def begin_web(self) -> Running:
        """Start a web process without waiting for it."""
        process = Running("web", ["mailroom", "web"], self.environment, self.folder)
        self.running.append(process)
        return process

    def web(self) -> Running:
        """Start a web process; it answers when this returns."""
        process = self.begin_web()
        processes.wait_until_healthy(process, self.port, 40)
        return process

    def begin_submission(self) -> Running:
        """Start a process that takes mails over SMTP, without waiting for it."""
        process = Running("submission", ["mailroom", "submission"], self.environment, self.folder)
        self.running.append(process)
        return process

    def end_all(self) -> None:
        """Kill what was started of Mailroom."""
        for process in self.running:
            process.kill()
        self.running.clear()

    def reset(self) -> None:
        """Make all as new for the next fault: mended, running, empty."""
        self.end_all()
        for server in (self.valkey, self.postgres):
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)
            else:
                restart(server)
        self.sink.faults.clear()
        self.sink.delay = 0
        self.sink.accepted.clear()
        self.sink.commands.clear()
        self.sink.auth = ""
        if not self.sink.listening:
            self.sink.start()
        with self.redis() as client:
            client.config_set("maxmemory", 0)
            client.flushall()
        self.sql(f"truncate {TABLES} cascade")
        for log in self.folder.glob("*.log"):
            log.unlink()

    # -- what is in the servers

    def redis(self) -> "redis.Redis[bytes]":
        """Return a client; close it (a `with` block)."""
        return redis.Redis.from_url(self.valkey.url)

    def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement; return its rows."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def count(self, condition: str) -> int:
        """Return how many mails meet a condition."""
        ((found,),) = self.sql(f"select count(*) from mails where {condition}")
        return int(found)

    def queue_length(self) -> int:
        """Return how many messages wait in Redis."""
        with self.redis() as client:
            return int(client.llen("transactional"))  # type: ignore[arg-type]

    @contextlib.contextmanager
    def table_locked(self) -> Iterator[None]:
        """Nobody writes or locks a mail for the length of the block. (Workers read mails before they start.)"""
        with psycopg.connect(self.postgres.url) as connection:
            connection.execute("lock table mails in exclusive mode")
            yield

    # -- traffic

    def put(self, count: int = IN_FLIGHT, kind: str = "confirm_sign_up", to: str = "p") -> list[UUID]:
        """Promise mails through the outbox, one transaction each, with their nudges; return their ids."""
        return asyncio.run(self._put(count, kind, to))

    def put_together(self, count: int, to: str) -> list[UUID]:
        """Promise mails in one transaction."""
        return asyncio.run(self._put(count, "confirm_sign_up", to, together=True))

    async def _put(self, count: int, kind: str, to: str, *, together: bool = False) -> list[UUID]:
        from tests.faults.worker_app import with_test_kinds

        settings = settings_of(self.environment)
        queue = Publisher(settings)
        with with_test_kinds():
            have = create_services(settings, queue.publish_mails, queue.publish_task, name="test")
        ids = []
        try:
            params = {"sign_up": str(new_id()), "browser": "a browser"}
            addresses = [f"{to}{number}@example.org" for number in range(count)]
            for batch in [addresses] if together else [[address] for address in addresses]:
                async with have.database.begin() as work:
                    ids += [await have.outbox.put(work, kind, address, params) for address in batch]
        finally:
            until = time.monotonic() + 3  # with Redis away the nudges would take minutes
            while len(queue) and time.monotonic() < until:
                await asyncio.sleep(0.02)
            queue.close()
            await have.database.close()
        return ids


def under_way(stack: Stack, mails: int = 20) -> None:
    """Wait until some have been sent and the rest is in flight."""
    wait_for(lambda: len(stack.sink.accepted) >= mails, 30, "mails go out")


def send_on(stack: Stack, *, delay: float) -> Running:
    """Have mails under way, one worker at them, and the mail server slow; return the worker."""
    stack.sink.delay = delay
    stack.put()  # first, or a worker has sent most of them before the last one is promised
    worker = stack.worker()
    under_way(stack)
    return worker


def kill(server: Server) -> None:
    """SIGKILL a server."""
    server.process.kill()
    server.process.wait(5)


def restart(server: Server) -> None:
    """Start a server again, on the same port and data. PostgreSQL's orphans may need a moment to leave."""
    until = time.monotonic() + 20
    while True:
        try:
            server.start().wait_ready()
        except NotReady:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


@contextlib.contextmanager
def frozen(process: Any) -> Iterator[None]:
    """SIGSTOP a process for the length of the block."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)
