"""The whole of Mailroom as real processes, for many tests in turn; each part can be taken away."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis

from mailroom.ops.embedded.inbox_store import InboxStore
from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.valkey import Valkey, running_valkey
from tests.conftest import ROOT, SECRET_KEY, database_on
from tests.processes import Running, wait_until_healthy
from tests.sink import Sink


class Stack:
    """Web, worker and mail server. `reset` gives a test all of them, as if nobody had been here today."""

    def __init__(self, database_url: str, valkey: Valkey, sink: Sink, folder: Path) -> None:
        port = free_port()
        self.url = f"http://localhost:{port}"
        self.port = port
        self.sink = sink
        self._valkey = valkey
        self._folder = folder
        self.environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": valkey.url,
            "SMTP_URL": sink.url,
            "SMTP_CONNECT_TIMEOUT": "30",  # the sink is a thread of a busy process
            "SMTP_IDLE_SECONDS": "0.05",  # every mail makes its own connection, so that its stage is there to see
            "MAIL_FROM": "Mailroom <hello@mailroom.example>",
            "PUBLIC_URL": self.url,
            "SECRET_KEY": SECRET_KEY,
            "WORKER_PROCESSES": "1",
            "SIGN_UP_SECONDS": "0",  # browsers of tests type faster than people
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "PYTHONPATH": str(ROOT / "src"),
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "MAILROOM_INBOX": str(folder / "inbox"),
        }
        self.inbox = InboxStore(folder / "inbox")
        self._mail_server_away = False
        self.web: Running | None = None
        self.worker: Running | None = None

    def start_web(self) -> None:
        if self.web is None:
            self.web = Running("web", ["mailroom", "web"], self.environment, self._folder)
            wait_until_healthy(self.web, self.port)

    def kill_web(self) -> None:
        if self.web:
            self.web.kill()
            self.web = None

    def start_worker(self, *, wait: bool = True) -> None:
        if self.worker is None:
            self.worker = Running("worker", ["mailroom", "worker"], self.environment, self._folder)
        if wait:
            self.worker.wait_for(" ready.")

    def kill_worker(self) -> None:
        if self.worker:
            self.worker.kill()
            self.worker = None

    def take_mail_server_away(self) -> None:
        """Have its port refuse."""
        self.sink.stop()
        self._mail_server_away = True

    def give_mail_server_back(self) -> None:
        if self._mail_server_away:
            self.sink.start()
            self._mail_server_away = False

    def reset(self) -> None:
        """All parts run, the mail server behaves, and no rate limit remembers anything."""
        self.sink.faults.clear()
        self.sink.delay = 0
        self.give_mail_server_back()
        self.start_web()
        self.start_worker()
        with redis.Redis.from_url(self._valkey.url) as client:
            for key in client.scan_iter("mailroom:limit:*"):
                client.delete(key)

    def run(self, sql: str, values: Sequence[object] = ()) -> None:
        """Change the database behind everybody's back."""
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(sql, values)

    def end(self) -> None:
        self.kill_worker()
        self.kill_web()


@contextmanager
def running_stack(postgres: Postgres, folder: Path) -> Iterator[Stack]:
    """Run a stack on a database and a Valkey of its own."""
    name = f"stack_{os.getpid()}_{folder.name.replace('-', '_')}"
    with database_on(postgres, name) as url, running_valkey(folder / "valkey") as valkey, Sink() as sink:
        stack = Stack(url, valkey, sink, folder)
        try:
            yield stack
        finally:
            stack.end()
