"""SMTP submission and batches over HTTP beside Postfix: the same mails, sessions, disk and mail server in one run.

`smtp-source` cannot sign in, so a client in Python stands in for it on our side, with as many round trips a mail.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.mail_server import Journal, sink_of
from benchmarks.postfix import IS_THERE, postfix, source, until_it_greets
from benchmarks.programs import SENDER, make_key, post, until_it_answers
from benchmarks.stage import Row, Stage, compared, end, rate, settled
from mailroom.ops.embedded.ports import free_port

ROUNDS = 3
MAILS, SESSIONS, SIZE = 2000, 20, 3000
NOWHERE = 9
MAIL = {"from": SENDER, "to": "alice@example.org", "subject": "bench", "text": ("x" * 70 + "\n") * (SIZE // 71)}


def measure(stage: Stage) -> list[Row]:
    """Return the rows of submission; none where Postfix is not there."""
    if not IS_THERE:
        print("without Debian's postfix there is nothing to compare submission with")
        return []
    return [*accepting(stage), *relaying(stage)]


def accepting(stage: Stage) -> list[Row]:
    """Both take mails in, and can relay none."""
    key, port = make_key(stage), free_port()
    environment = stage.environment(NOWHERE, SUBMISSION_PORT=str(port), HOST="127.0.0.1", SUBMISSION_PROCESSES="2")
    process = stage.process("-m", "mailroom", "submission", environment=environment)
    until_it_greets(port)
    pairs: list[tuple[float, float]] = []
    with postfix(stage.folder / "postfix", free_port()) as beside:
        submit(port, key, 200)
        source(beside, 200, sessions=SESSIONS, size=SIZE)
        for _ in range(ROUNDS):
            ours = submit(port, key, MAILS)
            began = time.perf_counter()
            source(beside, MAILS, sessions=SESSIONS, size=SIZE)
            pairs.append((ours, MAILS / (time.perf_counter() - began)))
            stage.forget()
    end(process)
    return [compared("accepted over SMTP, durable before the 250", pairs, "Postfix", " mails/s", "as many")]


def relaying(stage: Stage) -> list[Row]:
    """From the clients to the mail server, through both."""
    over_smtp: list[tuple[float, float]] = []
    over_http: list[tuple[float, float]] = []
    with sink_of(stage.folder, 0) as (sink, journal), sink_of(stage.folder, 0) as (other, theirs):
        key, port, web = make_key(stage), free_port(), free_port()
        environment = stage.environment(
            sink,
            SUBMISSION_PORT=str(port),
            PORT=str(web),
            HOST="127.0.0.1",
            SUBMISSION_PROCESSES="2",
            PUBLIC_URL=f"http://localhost:{web}",
        )
        for words in ("submission", "web", "worker"):
            stage.process("-m", "mailroom", words, environment=environment)
        until_it_greets(port)
        until_it_answers(f"http://localhost:{web}/healthz")
        url = f"http://localhost:{web}/api/v1/emails/batch"
        with postfix(stage.folder / "relay", other) as beside:
            for count in [200, *[MAILS] * ROUNDS]:
                smtp = measured(journal, count, partial(submit, port, key, count))
                settled(stage)
                relayed = measured(theirs, count, partial(source, beside, count, sessions=SESSIONS, size=SIZE))
                http = measured(journal, count, partial(post, url, key, [MAIL] * 100, count // 100, at_once=4))
                settled(stage)
                stage.forget()
                if count == MAILS:  # the first round warms up
                    over_smtp.append((smtp, relayed))
                    over_http.append((http, relayed))
    return [
        compared("relayed, from SMTP to smtp-sink", over_smtp, "Postfix", " mails/s", "as many"),
        compared("relayed, from batches of 100 over HTTP", over_http, "Postfix", " mails/s", "2 times"),
    ]


def measured(journal: Journal, count: int, send: Callable[[], object]) -> float:
    """Return mails a second, from the first one sent to the last one at the mail server."""
    done, began = len(journal.times()), time.time()
    send()
    return rate(began, journal.wait_for(done + count, 300)[done:])


def submit(port: int, key: str, count: int) -> float:
    """Return mails a second that are taken, from `SESSIONS` clients at a time, which sign in once each."""
    client = Path(__file__).with_name("smtp_client.py")
    words = [str(client), str(port), key, str(count), str(SESSIONS), str(SIZE)]
    done = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
    return float(done.stdout)
