"""Mailroom's own processes, started as an operator would, for tests to use, stop and kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]


class Running:
    """A process and what it printed."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        through: Sequence[str] = (),
    ) -> None:
        """Start it; `through` another program that runs the one it is given."""
        self.name = name
        self.log = folder / f"{name}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*through, sys.executable, "-m", *command],
                env=dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, words: str, seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while words not in self.text:
            assert self.process.poll() is None, f"{self.name} ended:\n{self.text[-4000:]}"
            assert time.monotonic() < until, f"{self.name} never said {words!r}:\n{self.text[-4000:]}"
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL the process and everything it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, seconds: float = 30) -> float:
        """SIGTERM; return the seconds it took to end."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end in {seconds} s:\n{self.text[-4000:]}") from None
        return time.monotonic() - began


@contextmanager
def running(
    name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, *, through: Sequence[str] = ()
) -> Iterator[Running]:
    """Run `python -m <command>` for the length of the block."""
    process = Running(name, command, environment, folder, through=through)
    try:
        yield process
    finally:
        process.kill()


@contextmanager
def celery_worker(
    environment: Mapping[str, str], folder: Path, *options: str, app: str = "mailroom.worker"
) -> Iterator[Running]:
    """A worker as a Celery user starts one: `celery -A mailroom.worker worker`."""
    command = [
        "celery",
        "-A",
        app,
        "worker",
        "--loglevel=info",
        *(options or ("--pool=threads", "--concurrency=8")),
    ]
    with running("worker", command, environment, folder) as worker:
        worker.wait_for(" ready.")
        yield worker


@contextmanager
def web(environment: Mapping[str, str], folder: Path, port: int) -> Iterator[Running]:
    """`mailroom web`, answering on `port`."""
    told = {**environment, "PORT": str(port), "PUBLIC_URL": f"http://localhost:{port}"}
    with running("web", ["mailroom", "web"], told, folder) as process:
        wait_until_healthy(process, port)
        yield process


def wait_until_healthy(process: Running, port: int, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while True:
        assert process.process.poll() is None, f"{process.name} ended:\n{process.text[-4000:]}"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < until, f"{process.name} never answered:\n{process.text[-4000:]}"
        time.sleep(0.05)
