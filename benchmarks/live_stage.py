"""What the live benchmark stands on: servers, a web process, crowds of sockets, a worker's pen, and meters."""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
import psutil
import psycopg
import redis

from benchmarks.stage import ROOT, Stage, end
from mailroom.kit.ids import new_id
from mailroom.ops.embedded.ports import free_port

TOKEN = "for-the-benchmark-only"


class SocketProcess:
    """A process full of browsers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def order(self, name: str, *argument: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps([name, argument]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the crowd is gone: see output.log"
        found: dict[str, Any] = json.loads(line)
        return found

    def do(self, name: str, *argument: Any) -> dict[str, Any]:
        self.order(name, *argument)
        return self.answer()


class Pen:
    """A process that reports as a worker does."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.wait()

    def begin(self, seconds: float, rate: float, tasks: Sequence[str]) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{seconds} {rate} {' '.join(tasks)}\n")
        self.process.stdin.flush()

    def wait(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline(), "the pen is gone: see output.log"


class Knocking(threading.Thread):
    """Asks /healthz every 10 ms: as long as it waits, the loop may have been away, or have had no processor.

    What the loop's thread itself computed meanwhile tells the two apart.
    """

    def __init__(self, port: int, pid: int) -> None:
        super().__init__(daemon=True)
        self.port, self.stopping = port, False
        self.waited = self.computed = 0.0
        self._time = Path(f"/proc/{pid}/task/{pid}/schedstat")  # the main thread's, which is the loop's
        self.start()

    def _computing(self) -> float:
        return int(self._time.read_text().split()[0]) / 1e9

    def run(self) -> None:
        while not self.stopping:
            with socket.create_connection(("127.0.0.1", self.port)) as line:
                for _ in range(900):  # then the server would end the connection
                    began, before = time.perf_counter(), self._computing()
                    line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    line.recv(4096)
                    self.waited = max(self.waited, time.perf_counter() - began)
                    self.computed = max(self.computed, self._computing() - before)
                    time.sleep(0.01)
                    if self.stopping:
                        return

    def stop(self) -> tuple[float, float]:
        """Return the longest wait, and the most the loop computed during one, in seconds."""
        self.stopping = True
        self.join()
        return self.waited, self.computed


class Hall(Stage):
    """The whole benchmark's servers, and one `mailroom web`."""

    def start_web(self, tasks: int, sessions: int) -> None:
        self.port = free_port()
        self.told = {
            **self.environment(9),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "PUBLIC_URL": f"http://localhost:{self.port}",
            "LIVE_SOCKETS_PER_ADDRESS": "1000000",  # all of them come from this machine
            "METRICS_TOKEN": TOKEN,
        }
        self.redis = redis.Redis.from_url(self.valkey.url)
        self.stack.callback(self.redis.close)
        self.tasks = self._fill(tasks, sessions)
        self.web = psutil.Process(self.process("-m", "mailroom", "web", environment=self.told).pid)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)

    def _fill(self, tasks: int, sessions: int) -> list[str]:
        """One member, signed in with very many browsers, owner of very many tasks that run."""
        account, ids = new_id(), [new_id() for _ in range(tasks)]
        secrets = [os.urandom(24).hex() for _ in range(sessions)]
        (self.folder / "secrets").write_text("\n".join(secrets))
        with psycopg.connect(self.postgres.url) as connection, connection.cursor() as cursor:
            cursor.execute(
                "insert into accounts (id, email, email_key, password_hash) values (%s, 'a@b.c', 'a@b.c', '')",
                [account],
            )
            browsers: list[tuple[UUID, bytes, UUID]] = [
                (new_id(), hashlib.sha256(secret.encode()).digest(), account) for secret in secrets
            ]
            cursor.executemany(
                "insert into sessions (id, token_hash, user_agent, account_id, expires_at)"
                " values (%s, %s, 'a browser', %s, now() + interval '1 day')",
                browsers,
            )
            cursor.executemany(
                "insert into tasks (id, title, owner_id, name, state, attempt, began_at)"
                " values (%s, 'A task', %s, 'bench', 'running', 1, now())",
                [(task, account) for task in ids],
            )
            connection.commit()
            connection.autocommit = True
            connection.execute("analyze")
        return [str(task) for task in ids]

    def piped(self, *command: str) -> subprocess.Popen[str]:
        with (self.folder / "output.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                env=self.told,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                start_new_session=True,
            )
        self.stack.callback(_end_piped, process)
        return process

    def crowd(self) -> SocketProcess:
        script = str(ROOT / "benchmarks/live_sockets.py")
        return SocketProcess(self.piped(script, str(self.port), str(self.folder / "secrets")))

    def pen(self) -> Pen:
        return Pen(self.piped(str(ROOT / "benchmarks/live_reports.py")))

    def commands(self) -> int:
        """How many commands Redis has run, our own questions left out."""
        stats: dict[str, dict[str, int]] = self.redis.info("commandstats")  # type: ignore[assignment]
        return sum(one["calls"] for name, one in stats.items() if name != "cmdstat_info")

    def database_cpu(self) -> float:
        """Seconds of processor time that PostgreSQL's processes took."""
        server = psutil.Process(self.postgres.process.pid)
        return sum(sum(one.cpu_times()[:2]) for one in [server, *server.children(recursive=True)])

    def poller_longest(self) -> float:
        """Seconds by the web process's own account."""
        page = httpx.get(f"http://127.0.0.1:{self.port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        found = re.search(r"^mailroom_poller_longest_step_seconds (\S+)", page.text, re.MULTILINE)
        assert found, page.text
        return float(found.group(1))

    def memory(self) -> float:
        """The web process's resident memory in bytes."""
        return float(self.web.memory_info().rss)


class Measure:
    """Redis commands a second and processor shares between `with` and its end."""

    def __init__(self, hall: Hall, process: psutil.Process | None = None) -> None:
        self.hall, self.process = hall, process or hall.web

    def __enter__(self) -> Self:
        self._commands, self._began = self.hall.commands(), time.monotonic()
        self._cpu, self._database = sum(self.process.cpu_times()[:2]), self.hall.database_cpu()
        return self

    def __exit__(self, *_: object) -> None:
        took = self.took = time.monotonic() - self._began
        self.cpu = (sum(self.process.cpu_times()[:2]) - self._cpu) / took * 100
        self.database = (self.hall.database_cpu() - self._database) / took * 100
        self.commands = (self.hall.commands() - self._commands) / took


def _end_piped(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGCONT)
    if process.stdin:
        process.stdin.close()
    end(process)  # type: ignore[arg-type]
    if process.stdout:
        process.stdout.close()
