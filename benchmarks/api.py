"""Mails of other programs: `make bench-api`. HTTP beside the least that keeps the rows, SMTP beside Postfix.

Prints a table. Where Debian's postfix is there (`smtp-source`, `smtp-sink` and Postfix itself), submission is
measured with it in the same run: fsync on both sides, mails of 3 KB, 20 sessions; AUTH once a connection on ours.
"""

import argparse
import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.__main__ import show
from benchmarks.stage import Row, Stage
from mailroom.api_keys.keys import KeyRequest
from mailroom.bootstrap.services import create_services
from mailroom.mail.messages.composition import compose, compose_the_long_way
from mailroom.mail.messages.draft import Draft, Mailbox
from mailroom.ops.embedded.ports import free_port

ROUNDS = 5
SINGLES, BATCHES, AT_ONCE = 400, 40, 8
SUBMITTED, SESSIONS, SIZE = 4000, 20, 3000
MAIL = {
    "from": "Shop <shop@example.org>",
    "to": "alice@example.org",
    "subject": "Your order",
    "text": "Thank you for your order.\n" * 40,
    "html": "<p>Thank you for your order.</p>\n" * 30,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__)
    parser.add_argument("--only", action="append", choices=["composition", "http", "smtp"])
    told = parser.parse_args()
    parts: dict[str, Callable[[Stage], list[Row]]] = {"composition": composition, "http": http, "smtp": smtp}
    for name, measure in parts.items():
        if told.only and name not in told.only:
            continue
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            show(measure(Stage(stack, Path(folder))))


def composition(_stage: Stage) -> list[Row]:
    draft = Draft(
        Mailbox("Shop", "shop@example.org"),
        [Mailbox("", "alice@example.org")],
        MAIL["subject"],
        text=MAIL["text"],
        html=MAIL["html"],
    )
    now = datetime.now(UTC)

    def cost(make: Callable[..., bytes], count: int) -> float:
        return (
            min(timeit.repeat(lambda: make(draft, message_id="<1@example.org>", date=now), number=count, repeat=5))
            / count
        )

    short, long = cost(compose, 200), cost(compose_the_long_way, 20)
    return [
        Row(
            "composing a message",
            f"{short * 1e6:.0f} µs",
            f"EmailMessage {long * 1e6:.0f} µs",
            f"{long / short:.0f} times",
        )
    ]


# -- HTTP

LEAST = """
import json, sys, uvloop
from datetime import timedelta
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import request
from mailroom.bootstrap.services import create_services
from mailroom.kit.ids import new_id
from mailroom.mail.messages.rows import PUT
from mailroom.settings import load
from mailroom.web.app import create_app

settings = load()
services = create_services(settings, lambda ids: None, lambda *_: None, name="least")
app = create_app(services)

@app.post("/least")
async def least():
    key = await services.api_keys.authenticate(request.headers["Authorization"].split()[1])
    mail = json.loads(await request.get_data())
    message_id = new_id()
    content = (mail["text"] + mail["html"]).encode()
    await services.database.fetch(PUT, {
        "id": [message_id], "key_id": [key.id], "sender": [mail["from"]], "to": ['{"' + mail["to"] + '"}'],
        "cc": ["{}"], "bcc": ["{}"], "reply_to": ["{}"], "subject": [mail["subject"]],
        "stream": ["transactional"], "tags": ["{}"], "scheduled_at": [None], "test": [False], "source": ["http"],
        "size": [len(content)], "content": [content], "mail_id": [new_id()], "recipient": [mail["to"]],
        "message_id": [message_id], "mail_stream": ["transactional"], "mail_test": [False], "due": [None],
        "limited": [False], "nudge_in": timedelta(seconds=10), "expires_in": timedelta(hours=48)})
    return {"id": str(message_id)}

config = Config()
config.bind = [f"127.0.0.1:{sys.argv[1]}"]
uvloop.run(serve(app, config))
"""
"""A route of the same app that only checks the key, inserts and commits the same rows, in one statement."""


def http(stage: Stage) -> list[Row]:
    ours, least = free_port(), free_port()
    environment = stage.environment(9, PORT=str(ours), HOST="127.0.0.1", PUBLIC_URL=f"http://localhost:{ours}")
    key = make_key(stage)
    stage.process("-m", "mailroom", "web", environment=environment)
    other = {**environment, "PORT": str(least), "PUBLIC_URL": f"http://localhost:{least}"}
    stage.process("-c", LEAST, str(least), environment=other)
    singles: dict[str, list[float]] = {"ours": [], "least": []}
    batches: list[float] = []
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}) as client:
        wait_for(lambda: client.get(f"http://127.0.0.1:{ours}/healthz").is_success)
        wait_for(lambda: client.post(f"http://localhost:{least}/least", json=MAIL).is_success)
    for _ in range(ROUNDS):
        singles["ours"].append(posts(f"http://localhost:{ours}/api/v1/emails", key, MAIL, SINGLES))
        singles["least"].append(posts(f"http://localhost:{least}/least", key, MAIL, SINGLES))
        batches.append(100 * posts(f"http://localhost:{ours}/api/v1/emails/batch", key, [MAIL] * 100, BATCHES))
        stage.forget()
    one, beside = median(singles["ours"]), median(singles["least"])
    return [
        Row("POST /emails", f"{one:.0f}/s", f"the least route {beside:.0f}/s", f"{one / beside:.2f} times", "0.8"),
        Row("POST /emails/batch of 100", f"{median(batches):.0f} mails/s", wanted="4,000 mails/s"),
    ]


def posts(url: str, key: str, body: Any, count: int) -> float:
    """Return requests a second, `AT_ONCE` at a time."""

    async def run() -> float:
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"}, limits=limits, timeout=60
        ) as client:
            left = iter(range(count))

            async def some() -> None:
                for _ in left:
                    (await client.post(url, json=body)).raise_for_status()

            began = time.perf_counter()
            await asyncio.gather(*(some() for _ in range(AT_ONCE)))
            return count / (time.perf_counter() - began)

    return asyncio.run(run())


def make_key(stage: Stage) -> str:
    async def run() -> str:
        services = create_services(stage.settings(9), lambda _ids: None, lambda *_: None, name="bench")
        async with services.database.begin() as work:
            _, secret = await services.api_keys.create(work, KeyRequest("bench", scope="sending"))
        await services.database.close()
        return secret

    return asyncio.run(run())


# -- SMTP


def smtp(stage: Stage) -> list[Row]:
    if not all(map(shutil.which, ("postfix", "smtp-source", "smtp-sink"))):
        print("without Debian's postfix there is nothing to compare submission with")
        return []
    key = make_key(stage)
    port = free_port()
    environment = stage.environment(9, SUBMISSION_PORT=str(port), HOST="127.0.0.1", SUBMISSION_PROCESSES="2")
    stage.process("-m", "mailroom", "submission", environment=environment)
    wait_for(lambda: greets(port))
    ours: list[float] = []
    theirs: list[float] = []
    with postfix(stage.folder / "postfix") as relay:
        for _ in range(ROUNDS):
            ours.append(submitted(port, key))
            theirs.append(sourced(relay))
            stage.forget()
    one, beside = median(ours), median(theirs)
    return [
        Row(
            "SMTP submission, durable before the 250",
            f"{one:.0f} mails/s",
            f"Postfix {beside:.0f} mails/s",
            f"{one / beside:.2f} times",
            "as many",
        )
    ]


def submitted(port: int, key: str) -> float:
    """Return mails a second that are taken, from `SESSIONS` clients at a time, which sign in once each."""
    client = Path(__file__).with_name("smtp_client.py")
    done = subprocess.run(
        [sys.executable, str(client), str(port), key, str(SUBMITTED), str(SESSIONS), str(SIZE)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def sourced(port: int) -> float:
    """The same with Debian's smtp-source."""
    began = time.perf_counter()
    command = [
        "smtp-source",
        "-s",
        str(SESSIONS),
        "-m",
        str(SUBMITTED),
        "-l",
        str(SIZE),
        "-d",
        "-f",
        "shop@example.org",
    ]
    subprocess.run(
        [*command, "-t", "alice@example.org", f"inet:127.0.0.1:{port}"], check=True, capture_output=True
    )
    return SUBMITTED / (time.perf_counter() - began)


@contextmanager
def postfix(folder: Path) -> Iterator[int]:
    """Run Postfix from a folder of its own, with nowhere to relay to; yield its port."""
    port, dead = free_port(), free_port()
    settings, queue, data = folder / "etc", folder / "queue", folder / "data"
    for place in (settings, queue, data):
        place.mkdir(parents=True)
    folder.parent.chmod(0o755)
    shutil.chown(data, "postfix")
    shutil.copy("/etc/postfix/postfix-files", settings) if Path("/etc/postfix/postfix-files").exists() else None
    master = Path("/usr/share/postfix/master.cf.dist").read_text()
    lines = [
        f"127.0.0.1:{port} inet n - n - - smtpd" if line.startswith("smtp      inet") else line
        for line in master.splitlines()
    ]
    (settings / "master.cf").write_text("\n".join(line.replace("  y  ", "  n  ") for line in lines) + "\n")
    (settings / "main.cf").write_text(
        f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {folder}/log
maillog_file_prefixes = /var, /dev/stdout, {folder}, /tmp
mydestination =
relayhost = [127.0.0.1]:{dead}
disable_dns_lookups = yes
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
"""
    )
    subprocess.run(["postfix", "-c", str(settings), "start"], check=True, capture_output=True)
    try:
        wait_for(lambda: greets(port))
        yield port
    finally:
        subprocess.run(["postfix", "-c", str(settings), "stop"], check=False, capture_output=True)


def greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False


def wait_for(ready: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < until, "it did not start"
        time.sleep(0.1)


if __name__ == "__main__":
    main()
