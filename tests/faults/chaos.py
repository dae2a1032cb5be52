"""Random faults over mixed traffic, from a seed: what the soak is made of."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable

import psutil

from tests.faults.sign_ups import Tried, sign_up
from tests.faults.stack import FLEET, PREFORK, Stack, kill, restart
from tests.processes import Running
from tests.sink import Fault


class Chaos:
    """A fleet of two workers, one that forks, a web process, traffic, and one fault at a time."""

    def __init__(self, stack: Stack, seed: int, *, mails_a_second: int) -> None:
        self.stack = stack
        self._mails_a_second = mails_a_second
        self.random = random.Random(seed)
        self.tried: list[Tried] = []
        self.told: list[str] = []
        self.put = 0
        self._stopping = threading.Event()
        self._web: Running | None = None
        self._workers: list[Running] = []
        self._faults: list[Callable[[], None]] = [
            self.worker_sigkill,
            self.worker_sigterm,
            self.worker_frozen,
            self.child_sigkill,
            self.web_sigkill,
            self.valkey_sigkill,
            self.valkey_frozen,
            self.valkey_cut,
            self.valkey_flushed,
            self.messages_twice,
            self.postgres_sigkill,
            self.postgres_restart,
            self.mail_server_away,
            self.mail_server_mad,
        ]

    # -- traffic

    def run(self, seconds: float, every: float = 10.0) -> None:
        """Let all this happen for a while, a fault every so often; then mend everything and stop the traffic."""
        self._web = self.stack.begin_web()
        self._workers = [self.stack.begin_worker(FLEET), self.stack.begin_worker(PREFORK)]
        traffic = [threading.Thread(target=self._put_mails), threading.Thread(target=self._sign_up)]
        for thread in traffic:
            thread.start()
        began = time.monotonic()
        try:
            for number in range(1, int(seconds / every)):
                time.sleep(max(0.0, began + number * every - time.monotonic()))
                fault = self.random.choice(self._faults)
                self.told.append(f"{time.monotonic() - began:5.0f} s  {fault.__name__}")
                print(self.told[-1], flush=True)  # noqa: T201
                fault()
            time.sleep(max(0.0, began + seconds - time.monotonic()))
        finally:
            self._stopping.set()
            for thread in traffic:
                thread.join(30)
        self.stack.sink.faults.clear()

    def _put_mails(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self.stack.put_together(self._mails_a_second, to=f"s{self.put}-")
            except Exception as error:  # PostgreSQL is away: nobody was promised anything
                print(f"         no mails put: {type(error).__name__}", flush=True)  # noqa: T201
            self.put += self._mails_a_second
            self._stopping.wait(max(0.0, began + 1 - time.monotonic()))

    def _sign_up(self) -> None:
        number = 0
        while not self._stopping.is_set():
            self.tried.append(sign_up(self.stack, number))
            number += 1
            self._stopping.wait(1)

    # -- faults

    def _one(self) -> int:
        return self.random.randrange(len(self._workers))

    def _again(self, number: int) -> None:
        self._workers[number] = self.stack.begin_worker(PREFORK if number else FLEET)

    def worker_sigkill(self) -> None:
        number = self._one()
        self._workers[number].kill()
        self._again(number)

    def worker_sigterm(self) -> None:
        number = self._one()
        self._workers[number].signal(signal.SIGTERM)
        self._again(number)

    def worker_frozen(self) -> None:
        """The process that was started, or one of those it has started."""
        started = psutil.Process(self._workers[self._one()].process.pid)
        frozen = self.random.choice([started, *started.children()])
        with contextlib.suppress(psutil.NoSuchProcess):
            frozen.suspend()
            time.sleep(5)
            frozen.resume()

    def child_sigkill(self) -> None:
        """One of the fleet, which is started again, or a child of the pool that forks."""
        children = psutil.Process(self._workers[self._one()].process.pid).children()
        if children:
            self.random.choice(children).kill()

    def web_sigkill(self) -> None:
        assert self._web
        self._web.kill()
        self._web = self.stack.begin_web()

    def valkey_sigkill(self) -> None:
        kill(self.stack.valkey)
        time.sleep(3)
        restart(self.stack.valkey)

    def valkey_frozen(self) -> None:
        self.stack.valkey.process.send_signal(signal.SIGSTOP)
        time.sleep(5)
        self.stack.valkey.process.send_signal(signal.SIGCONT)

    def valkey_cut(self) -> None:
        with self.stack.redis() as client:
            client.client_kill_filter(_type="normal")

    def valkey_flushed(self) -> None:
        with self.stack.redis() as client:
            client.flushall()

    def messages_twice(self) -> None:
        with self.stack.redis() as client:
            waiting = client.lrange("mailroom", 0, -1)
            if waiting:
                client.rpush("mailroom", *waiting)  # type: ignore[misc]

    def postgres_sigkill(self) -> None:
        kill(self.stack.postgres)
        restart(self.stack.postgres)

    def postgres_restart(self) -> None:
        self.stack.postgres.process.send_signal(signal.SIGINT)
        self.stack.postgres.process.wait(10)
        time.sleep(2)
        restart(self.stack.postgres)

    def mail_server_away(self) -> None:
        self.stack.sink.stop()
        time.sleep(4)
        self.stack.sink.start()

    def mail_server_mad(self) -> None:
        stage = self.random.choice(["mail", "rcpt", "data", "dot"])
        act = self.random.choice([{"reply": "450 4.2.0 busy"}, {"close": True}, {"reply": "421 4.3.2 going down"}])
        keep = stage == "dot" and "close" in act
        self.stack.sink.faults.append(Fault(stage, **act, keep=keep, times=10))  # type: ignore[arg-type]
