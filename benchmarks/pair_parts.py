"""One part of `benchmarks.pairs`, measured in the tree that is on Python's path; prints JSON on the last line.

Run with the `benchmarks` and `mailroom` of an older commit as well: use only what both have.
"""

import asyncio
import http.client
import json
import os
import re
import resource
import statistics
import sys
import tempfile
import time
import timeit
import urllib.parse
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import many, one_mail, rendering, sign_ups, singles
from benchmarks.mail_server import sink_of
from benchmarks.stage import PROCESSES, Stage, cpu_seconds, family

Found = list[tuple[str, float, str]]
MAILS, SINGLES, SIGN_UPS, PAGES, ALONE = 5_000, 600, 80, 150, 40
"""How many of each: so few that a part takes some seconds."""
SOCKETS, TASKS = 100, 1_000
LISTEN = 4.0
"""Seconds in which the lag of live progress is measured."""


def render(stage: Stage, _loop: asyncio.Runner) -> Found:
    """A mail from its row to the bytes of DATA."""
    make: Any = rendering
    renderer = make.renderer_of(stage.settings(25))
    params, now, nonce = {"sign_up": "0", "browser": "Firefox on Linux"}, datetime.now(UTC), os.urandom(16)
    rows = [
        make.MailRow(make.new_id(), "confirm_sign_up", f"person-{number}@example.org", params, nonce, now)
        for number in range(500)
    ]
    each = min(timeit.repeat(lambda: make.each(renderer.render, rows), number=1, repeat=15)) / len(rows)
    return [("rendering a mail", each * 1e6, "µs")]


def pages(stage: Stage, _loop: asyncio.Runner) -> Found:
    """Pages that are asked for one by one: the time of an answer, and the CPU of the web for each."""
    found: Found = []
    with sink_of(stage.folder, 0) as (smtp, _), sign_ups.app(stage, smtp) as running:
        web = family(running.processes["web"])
        visitor = Visitor(running.port)
        mail = visitor.sign_up()
        time.sleep(1)  # its mail is sent, and the worker at rest
        for what, path in (("the form to sign up", "/sign-up"), ("the page of a mail", mail)):
            for _ in range(20):
                visitor.get(path)
            cpu, seconds = cpu_seconds(web), []
            for _ in range(PAGES):
                began = time.perf_counter()
                visitor.get(path)
                seconds.append(time.perf_counter() - began)
            each = (cpu_seconds(web) - cpu) / PAGES
            found.append((f"{what}, p50", statistics.median(seconds) * 1000, "ms"))
            found.append((f"{what}, CPU of the web", each * 1000, "ms"))
    return found


class Visitor:
    """A browser that keeps its connection and its cookies."""

    def __init__(self, port: int) -> None:
        self._host = f"localhost:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> None:
        """Open a page; raises where it cannot be shown."""
        answer, _ = self._ask("GET", path)
        assert answer.status == 200, (path, answer.status)

    def sign_up(self) -> str:
        """Sign up and return the path of the mail's page."""
        body = urllib.parse.urlencode({"email": "visitor@example.org", "password": sign_ups.PASSWORD})
        answer, _ = self._ask("POST", "/sign-up", body, {"Content-Type": "application/x-www-form-urlencoded"})
        return str(answer.headers["Location"])

    def _ask(
        self, method: str, path: str, body: str | None = None, more: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Host": self._host, "X-Forwarded-For": "192.0.2.1", "Cookie": cookies, **(more or {})}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        for line in answer.headers.get_all("Set-Cookie") or []:
            if pair := re.match(r"([^=]+)=([^;]*)", line):
                self._cookies[pair[1]] = pair[2]
        return answer, content


def one(stage: Stage, loop: asyncio.Runner) -> Found:
    """One mail on an idle system, from the commit to the 250."""
    one_mail.MAILS = ALONE
    mails, _ = one_mail.one_at_a_time(stage, loop)
    return [("one mail on an idle system, commit to 250, p50", statistics.median(mails) * 1000, "ms")]


def single(stage: Stage, loop: asyncio.Runner) -> Found:
    """Mails with a message each."""
    rate, cpu = singles.ours(stage, 0.0, SINGLES, loop)
    return [("single mails", rate, "/s"), ("… CPU of the workers for each", cpu * 1000, "µs")]


def bulk(stage: Stage, loop: asyncio.Runner) -> Found:
    """Mails in tasks of 500."""
    many.MAILS = MAILS
    rate, cpu = many.ours(stage, loop)
    return [("mails in tasks of 500", rate, "/s"), ("… CPU of the workers for each of these", cpu, "µs")]


def signing_up(stage: Stage, loop: asyncio.Runner) -> Found:
    """People who sign up, beside Argon2 alone."""
    figures = sign_ups.Figures()
    sign_ups.PEOPLE = PROCESSES  # more would be turned away on a machine that has other work
    with sink_of(stage.folder, 0) as (smtp, _), sign_ups.app(stage, smtp) as running:
        sign_ups.run(loop, figures, running, count=SIGN_UPS)
    taken = figures.cpu[0]
    return [
        ("sign-ups", figures.rates[0], "/s"),
        ("… p50", figures.p50[0] * 1000, "ms"),
        ("… CPU of the web for each, without Argon2", (taken["web"] - taken[sign_ups.ALONE]) * 1000, "ms"),
        ("… CPU of the worker for each", taken["worker"] * 1000, "ms"),
    ]


def live() -> Found:
    """Progress that a process reports, until a page has it."""
    from benchmarks import live as stage
    from benchmarks.live_stage import Hall

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stage.REST = stage.LISTEN = LISTEN
    stage.console.quiet = True
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        hall = Hall(stack, Path(folder))
        hall.start_web(TASKS, SOCKETS)
        pen, crowd = hall.pen(), hall.crowd()
        crowd.do("open", SOCKETS)
        row = stage.cell(hall, crowd, pen, TASKS, SOCKETS)
        crowd.do("close")
    what = f"live, {TASKS:,} tasks, {SOCKETS} sockets"
    return [
        (f"{what}: lag, p50", row.lag[0] * 1000, "ms"),
        ("… lag, p99", row.lag[1] * 1000, "ms"),
        ("… CPU of the web at rest", row.cpu, "%"),
    ]


PARTS: dict[str, Callable[[Stage, asyncio.Runner], Found]] = {
    "rendering": render,
    "pages": pages,
    "one_mail": one,
    "singles": single,
    "many": bulk,
    "sign_ups": signing_up,
}


def main(name: str) -> None:
    if name == "live":
        found = live()
    else:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, asyncio.Runner() as loop:
            try:
                found = PARTS[name](Stage(stack, Path(folder)), loop)
            except BaseException:
                log = Path(folder, "output.log")
                sys.stderr.write(log.read_text()[-4000:] if log.exists() else "")
                raise
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
