"""Web and PostgreSQL are killed between request and answer, and clients ask again: no mail missing, none double.

API_KILLS sets how many times (60 in `make faults`; it takes about a second each).
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import psutil
import pytest

from tests.conftest import ROOT
from tests.faults.programs import make_key
from tests.faults.stack import Stack, kill, restart

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("API_KILLS", "60"))
SEED = int(os.environ.get("API_KILLS_SEED") or random.randrange(10**6))
CLIENTS = 6
LONGEST = 0.06
"""Seconds after a request's start in which the kill falls."""


class Webs:
    """One web process at a time, forked from one that has imported everything."""

    def __init__(self, stack: Stack) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forking_web"],
            env={**stack.environment, "LOG_LEVEL": "error"},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.start()

    def start(self) -> None:
        """Start one; the one before it is killed."""
        assert self._parent.stdin and self._parent.stdout
        self._parent.stdin.write("\n")
        self._parent.stdin.flush()
        assert self._parent.stdout.readline(), "the web could not be started"

    def end(self) -> None:
        self._parent.communicate(timeout=10)


class Client:
    """A program that sends one message after the other, each until it has its 200; and that once more."""

    def __init__(self, url: str, key: str, number: int) -> None:
        self.url, self.number = url, number
        self.asking = threading.Event()
        self.stopping = threading.Event()
        self.answers: dict[str, str] = {}
        """Idempotency-Key → the id of the answer."""
        self.asked_again = 0
        self.http = httpx.Client(timeout=30, headers={"Authorization": f"Bearer {key}"})
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.stopping.is_set():
            name = f"order-{self.number}-{len(self.answers)}"
            self.answers[name] = self.send(name)
            assert self.send(name) == self.answers[name], "a repeat got another answer"

    def send(self, name: str) -> str:
        body = {"from": "shop@mailroom.example", "to": f"{name}@example.org", "subject": name, "text": "Hello"}
        while True:
            self.asking.set()
            try:
                answer = self.http.post(f"{self.url}/api/v1/emails", json=body, headers={"Idempotency-Key": name})
            except httpx.HTTPError:
                answer = None
            finally:
                self.asking.clear()
            if answer is not None and answer.status_code == httpx.codes.OK:
                return str(answer.json()["id"])
            # 503 while PostgreSQL is away; 409 while the killed request's transaction is still there
            assert answer is None or answer.status_code in {503, 409}, answer.text
            self.asked_again += 1
            time.sleep(0.02)


@contextmanager
def clients(stack: Stack, key: str) -> Iterator[list[Client]]:
    all_of_them = [Client(f"http://localhost:{stack.port}", key, number) for number in range(CLIENTS)]
    try:
        yield all_of_them
    finally:
        for client in all_of_them:
            client.stopping.set()
        for client in all_of_them:
            client.thread.join(60)
            client.http.close()


def kill_a_backend(stack: Stack) -> None:
    """SIGKILL the server process of a connection: PostgreSQL ends all of them and recovers as after a crash."""
    for process in psutil.Process(stack.postgres.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile: they come and go
            if "mailroom mailroom" in " ".join(process.cmdline()):
                process.kill()
                return


@pytest.mark.timeout(KILLS * 6 + 200)
def test_kills_between_request_and_answer_lose_and_double_nothing(stack: Stack) -> None:
    print(f"\nAPI_KILLS={KILLS} API_KILLS_SEED={SEED}", flush=True)  # noqa: T201
    random.seed(SEED)
    key, webs, done = make_key(stack), Webs(stack), {"web": 0, "backend": 0, "PostgreSQL": 0}
    try:
        with clients(stack, key) as programs:
            while sum(done.values()) < KILLS:
                answered = sum(len(client.answers) for client in programs)
                asking = random.choice(programs)
                assert asking.thread.is_alive(), "a client gave up"
                asking.asking.wait(30)
                time.sleep(random.uniform(0, LONGEST))
                if not any(client.asking.is_set() for client in programs):
                    continue  # nobody waits for an answer: this kill would prove nothing
                what = random.choices(list(done), weights=[10, 8, 2])[0]
                if what == "web":
                    webs.start()
                elif what == "backend":
                    kill_a_backend(stack)
                else:
                    kill(stack.postgres)
                    restart(stack.postgres)
                done[what] += 1
                until = time.monotonic() + 30
                while sum(len(client.answers) for client in programs) == answered:
                    assert time.monotonic() < until, "nobody is answered any more"
                    time.sleep(0.005)
            assert all(client.thread.is_alive() for client in programs), "a client gave up"
    finally:
        webs.end()
    answers = {name: found for client in programs for name, found in client.answers.items()}
    again = sum(client.asked_again for client in programs)
    print(f"{done}: {len(answers)} messages, asked again {again} times", flush=True)  # noqa: T201
    rows = stack.sql(
        "select subject, messages.id::text, count(mails), count(raw) from messages "
        "left join mails on mails.message_id = messages.id "
        "left join message_contents on message_contents.message_id = messages.id group by messages.id"
    )
    stored = {subject: (message_id, mails, contents) for subject, message_id, mails, contents in rows}
    assert len(rows) == len(stored) == len(answers), "a message is there twice, or missing"
    assert stored == {name: (found, 1, 1) for name, found in answers.items()}
    assert again > KILLS / 3, "the kills met no request"
