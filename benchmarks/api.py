"""Mails of other programs: `make bench-api`. HTTP beside the least that keeps the rows, SMTP beside Postfix.

Prints a table. Where Debian's postfix is there (`smtp-source`, `smtp-sink` and Postfix itself), submission is
measured with it in the same run: fsync on both sides, mails of 3 KB, 20 sessions; AUTH once a connection on ours.
"""

import argparse
import os
import platform
import tempfile
import time
import timeit
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks import large_mails, mailing, submission
from benchmarks.__main__ import HEADS, show
from benchmarks.programs import make_key, post, until_it_answers
from benchmarks.stage import PROCESSES, ROOT, Row, Stage, compared
from mailroom.mail.messages.composition import compose, compose_the_long_way
from mailroom.mail.messages.draft import Draft, Mailbox
from mailroom.ops.embedded.ports import free_port

ROUNDS = 5
SINGLES, AT_ONCE = 400, 8
MAIL = {
    "from": "Shop <shop@example.org>",
    "to": "alice@example.org",
    "subject": "Your order",
    "text": "Thank you for your order.\n" * 40,
    "html": "<p>Thank you for your order.</p>\n" * 30,
}


def main() -> None:
    parts: dict[str, Callable[[Stage], list[Row]]] = {
        "composition": composition,
        "http": http,
        "smtp": submission.measure,
        "mailing": mailing.measure,
        "large": lambda stage: large_mails.measure(stage, told.large),
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(parts))
    parser.add_argument("--large", type=int, default=40, help="mails of 10 MB until memory is looked at")
    told = parser.parse_args()
    began, rows = time.monotonic(), []
    load = os.getloadavg()[0]
    for name, measure in parts.items():
        if told.only and name not in told.only:
            continue
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            found = measure(Stage(stack, Path(folder)))
        show(found)
        rows += found
    if not told.only:
        write(rows, time.monotonic() - began, load)


def write(rows: list[Row], seconds: float, load: float) -> None:
    """Write the page of results."""
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("quart", "hypercorn", "aiosmtpd", "psycopg", "uvloop")
    )
    lines = [
        "# Mails of other programs, measured",
        "",
        f"Written by `make bench-api` on {datetime.now(UTC):%Y-%m-%d}, in {seconds / 60:.0f} minutes.",
        f"Machine: {PROCESSES} cores, {platform.machine()}; load {load:.1f} when it began.",
        f"Versions: Python {platform.python_version()}, {libraries}.",
        "",
        "Medians of interleaved rounds; real PostgreSQL with fsync on. Clients, mail server and both sides share",
        "the cores, so a busy machine lowers absolute figures; the ratios are of one run.",
        "",
        "| " + " | ".join(HEADS) + " |",
        "|" + "---|" * len(HEADS),
        *(f"| {row.what} | {row.ours} | {row.beside} | {row.ratio} | {row.wanted} |" for row in rows),
        "",
    ]
    (ROOT / "benchmarks/API.md").write_text("\n".join(lines))


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
        "limited": [False], "traceparent": [None],
        "nudge_in": timedelta(seconds=10), "expires_in": timedelta(hours=48)})
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
    until_it_answers(f"http://localhost:{ours}/healthz")
    until_it_answers(f"http://localhost:{least}/healthz")
    url, beside = f"http://localhost:{ours}/api/v1/emails", f"http://localhost:{least}/least"
    pairs: list[tuple[float, float]] = []
    batches: list[float] = []
    for count in [50, *[SINGLES] * ROUNDS]:
        pairs.append(
            (post(url, key, MAIL, count, at_once=AT_ONCE), post(beside, key, MAIL, count, at_once=AT_ONCE))
        )
        batches.append(100 * post(f"{url}/batch", key, [MAIL] * 100, count // 10, at_once=AT_ONCE))
        stage.forget()
    return [  # without the first round: it warms all up
        compared("POST /emails", pairs[1:], "the least route", "/s", "0.8"),
        Row("POST /emails/batch of 100", f"{median(batches[1:]):.0f} mails/s", wanted="4,000 mails/s"),
    ]


if __name__ == "__main__":
    main()
