"""Signing up while the mail server or Redis is in trouble, and beside the same app sending inside the request."""

import asyncio
import statistics
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.mail_server import sink_of
from benchmarks.stage import PROCESSES, Row, Stage, centile, cpu_seconds, end, family
from mailroom.accounts.passwords.hashing import Passwords
from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.valkey import running_valkey

ROUNDS = 2
PEOPLE = 2 * PROCESSES
"""How many sign up at the same time; each at once again when answered."""
SIGN_UPS = 200
SLOW_SIGN_UPS = 3 * PEOPLE
"""Where each takes two seconds."""
WARM = 4 * PEOPLE
HASHES = 100
ALONE = "Argon2 alone"
LEAST = "the least such an app can do, and no mail"
PASSWORD = "seven quiet herons by the lake"


@dataclass
class Figures:
    """A figure of each round; times in seconds."""

    hashes: list[float] = field(default_factory=list)
    """Argon2 alone, a second, just before: a machine is busier with other work in one minute than in the next."""
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    """CPU time of each part for a sign-up, and of Argon2 alone for a hash."""

    def __str__(self) -> str:
        rate, p50, p99 = map(statistics.median, (self.rates, self.p50, self.p99))
        return f"{rate:.1f}/s, p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"


PARTS = ("PostgreSQL", "Valkey", "web", "worker")


@dataclass(frozen=True)
class App:
    """Mailroom at work, and the servers it uses."""

    port: int
    processes: dict[str, subprocess.Popen[bytes]]

    def cpu(self) -> dict[str, float]:
        """Return the CPU time, in seconds, that each part has taken so far."""
        return {part: cpu_seconds(family(process)) for part, process in self.processes.items()}


async def sign_up(port: int, number: int) -> float:
    """Sign up by HTTP on a connection of one's own; return the seconds it took."""
    body = urllib.parse.urlencode({"email": f"p{number}-{port}@example.org", "password": PASSWORD})
    request = (
        f"POST /sign-up HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"X-Forwarded-For: 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    status = await reader.readline()
    assert b" 303 " in status, status
    await reader.read()
    writer.close()
    return time.perf_counter() - began


async def sign_ups(port: int, count: int, first: int) -> tuple[float, list[float]]:
    """Have `PEOPLE` people sign up `count` times; return the answers a second, and the seconds of each."""
    numbers, seconds = iter(range(first, first + count)), []

    async def person() -> None:
        seconds.extend([await sign_up(port, number) for number in numbers])

    began = time.perf_counter()
    await asyncio.gather(*(person() for _ in range(PEOPLE)))
    return count / (time.perf_counter() - began), seconds


@contextmanager
def app(stage: Stage, smtp_port: int, *command: str, **more: str) -> Iterator[App]:
    """The web and a worker; their rows are deleted at the end."""
    with processes_of(stage, smtp_port, *command, **more) as running:
        yield running
    stage.forget()


@contextmanager
def processes_of(stage: Stage, smtp_port: int, *command: str, **more: str) -> Iterator[App]:
    """The web and a worker, with every client behind a proxy, so that no rate limit meets them all."""
    port = free_port()
    environment = stage.environment(
        smtp_port,
        PORT=str(port),
        PUBLIC_URL=f"http://localhost:{port}",
        TRUSTED_PROXIES="1",
        **more,
    )
    processes = [stage.process(*(command or ("-m", "mailroom", "web")), environment=environment)]
    if not command:
        processes.append(stage.process("-m", "mailroom", "worker", environment=environment))
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).read()
            break
        except OSError:
            time.sleep(0.05)
    time.sleep(2)  # the other processes, and the worker
    servers = (stage.postgres.process, stage.valkey.process)
    yield App(port, dict(zip(PARTS, (*servers, *processes), strict=False)))
    for process in processes:
        process.kill()  # it may have mails under way that take two seconds each: nobody waits for them
        end(process)


def run(
    loop: asyncio.Runner,
    figures: Figures,
    app: App,
    trouble: Callable[[], None] = lambda: None,
    count: int = SIGN_UPS,
) -> None:
    loop.run(sign_ups(app.port, min(WARM, count), 0))
    rate, each = bare_hashes()
    figures.hashes.append(rate)
    trouble()
    before = app.cpu()
    found, seconds = loop.run(sign_ups(app.port, count, WARM))
    figures.cpu.append({ALONE: each, **{part: (at - before[part]) / count for part, at in app.cpu().items()}})
    figures.rates.append(found)
    figures.p50.append(centile(seconds, 50))
    figures.p99.append(centile(seconds, 99))


def one_round(stage: Stage, loop: asyncio.Runner, figures: dict[str, Figures]) -> None:
    for delay, name in ((0.0, "all is fast"), (2.0, "mail server takes 2 s")):
        with sink_of(stage.folder, delay) as (smtp, _), app(stage, smtp) as running:
            run(loop, figures[name], running)
    with app(stage, free_port()) as running:
        run(loop, figures["mail server down"], running)
    with ExitStack() as stack, sink_of(stage.folder, 0) as (smtp, _):
        valkey = stack.enter_context(running_valkey(stage.folder / f"valkey-{smtp}"))
        with app(stage, smtp, REDIS_URL=valkey.url) as running:

            def kill() -> None:
                valkey.process.kill()
                valkey.process.wait()

            run(loop, figures["Redis down"], running, kill)
    with app(stage, free_port(), "-m", "benchmarks.least") as running:
        run(loop, figures[LEAST], running)
    for delay, name in ((0.0, "inside, all is fast"), (2.0, "inside, 2 s")):
        with (
            sink_of(stage.folder, delay) as (smtp, _),
            app(stage, smtp, "-m", "benchmarks.inside") as running,
        ):
            run(loop, figures[name], running, count=SLOW_SIGN_UPS if delay else SIGN_UPS)


def bare_hashes() -> tuple[float, float]:
    """Return the Argon2 hashes a second these cores make when they do nothing else, and the CPU time of each."""
    hasher = Passwords()._hasher  # noqa: SLF001
    with ThreadPoolExecutor(PROCESSES) as threads:
        list(threads.map(hasher.hash, [PASSWORD] * 4))
        began, cpu = time.perf_counter(), time.process_time()
        list(threads.map(hasher.hash, [PASSWORD] * HASHES))
        return HASHES / (time.perf_counter() - began), (time.process_time() - cpu) / HASHES


def measure(stage: Stage, loop: asyncio.Runner) -> list[Row]:
    names = ("all is fast", "mail server takes 2 s", "mail server down", "Redis down")
    figures = {name: Figures() for name in (*names, LEAST, "inside, all is fast", "inside, 2 s")}
    for _ in range(ROUNDS):
        one_round(stage, loop, figures)
    fast = figures["all is fast"]
    rows = []
    for name in names:
        of_bare = ratio(figures[name].rates, figures[name].hashes)
        bare = statistics.median(figures[name].hashes)
        of_fast = ratio(figures[name].p99, fast.p99)
        what = f"signing up, {name}"
        rows.append(Row(what, str(figures[name]), f"{ALONE} {bare:.1f}/s", of_bare, "at least 0.85"))
        if name == names[0]:
            rows.append(cpu_of_each(fast))
        else:
            beside = f"all is fast {statistics.median(fast.p99) * 1000:.0f} ms"
            ours = f"{statistics.median(figures[name].p99) * 1000:.0f} ms"
            rows.append(Row("… its p99", ours, beside, of_fast, "at most 1.2"))
    rows.append(Row(LEAST, "", str(figures[LEAST]), ratio(figures[LEAST].rates, figures[LEAST].hashes)))
    inside = "the same app sending inside the request"
    return rows + [
        Row(f"{inside}, {name}", "", str(figures[f"inside, {name}"])) for name in ("all is fast", "2 s")
    ]


def cpu_of_each(figures: Figures) -> Row:
    """Return where the time goes: with all cores busy the rate cannot be a larger part of Argon2's than this."""
    taken = {part: statistics.median(cpu[part] for cpu in figures.cpu) * 1000 for part in (ALONE, *PARTS)}
    alone, whole = taken.pop(ALONE), sum(taken[part] for part in PARTS)
    each = ", ".join(f"{part} {milliseconds:.1f}" for part, milliseconds in taken.items())
    beside = f"{ALONE} {alone:.1f} ms"
    return Row("… CPU time for one", f"{whole:.1f} ms: {each}", beside, f"{alone / whole:.2f} times")


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Return the median of the ratios of each round."""
    return f"{statistics.median(our / their for our, their in zip(ours, theirs, strict=True)):.2f} times"
