"""The desk with millions of mails: `python -m benchmarks.desk --mails 10000000`.

Fills PostgreSQL, asks for each page and search one after the other, times the sweep and the clean-ups, and
measures delivery with ten desks open beside none, in turn. The client runs on the same cores.
"""

import argparse
import asyncio
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg

from benchmarks.desk_rows import fill, sizes
from benchmarks.mail_server import Journal, sink_of
from benchmarks.people import PASSWORD, add_accounts
from benchmarks.sign_ups import app
from benchmarks.stage import Publisher, Stage
from mailroom.kit.database import Database
from mailroom.mail.ledger.rescuer import Rescuer
from mailroom.mail.ledger.retention import Retention
from mailroom.statistics.rollup import Rollup

OPERATOR = "olga@example.org"
PAGES = (
    "/desk",
    "/desk?part=live",
    "/desk?period=day",
    "/desk?period=week",
    "/desk/workers",
    "/desk/alerts",
    "/desk/mails",
    "/desk/mails?q=state:failed",
    "/desk/mails?q=to:@example.org",
    "/desk/mails?q=state:failed+code:550+since:30d",
    "/desk/mails?q=mailbox",
    "/desk/failures",
    "/desk/tasks",
    "/desk/people",
    "/desk/keys",
    "/desk/audit",
)
TIMES = 60
DESKS = 10
MAILS = 4_000


def sign_in(port: int) -> httpx.Client:
    """Return a client that is signed in as an operator."""
    client = httpx.Client(base_url=f"http://localhost:{port}", follow_redirects=True, timeout=30)
    client.get("/sign-in")
    answer = client.post("/sign-in", data={"email": OPERATOR, "password": PASSWORD})
    assert answer.url.path.startswith("/account"), answer.url
    return client


def time_pages(client: httpx.Client) -> None:
    """Print how long each page takes."""
    print(f"\n{'page':52} {'median':>8} {'p99':>8}")
    for path in PAGES:
        taken = []
        for _ in range(TIMES):
            began = time.perf_counter()
            answer = client.get(path)
            taken.append((time.perf_counter() - began) * 1000)
            if answer.status_code != httpx.codes.OK:
                print(f"{path:52} {answer.status_code}")
                break
            time.sleep(0.1)
        else:
            taken.sort()
            print(f"{path:52} {statistics.median(taken):6.1f}ms {taken[-1]:6.1f}ms", flush=True)


def open_desks(operator: httpx.Client, over: threading.Event) -> list[threading.Thread]:
    """Keep ten desks open, as `desk.js` does: each asks every five seconds. They share one session."""

    def look(place: int) -> None:
        client = httpx.Client(base_url=operator.base_url, cookies=operator.cookies, timeout=30)
        time.sleep(place * 0.5)
        while not over.wait(5.0):
            client.get("/desk?part=live")

    desks = [threading.Thread(target=look, args=(place,), daemon=True) for place in range(DESKS)]
    for desk in desks:
        desk.start()
    return desks


def delivery(stage: Stage, operator: httpx.Client, smtp_port: int, journal: Journal, pairs: int) -> None:
    """Print mails a second with ten desks open beside none."""
    publisher = Publisher(stage.settings(smtp_port))

    def send() -> float:
        done, began = len(journal.times()), time.time()
        publisher.promise_at_once(MAILS)
        publisher.publish_many(500)
        return MAILS / (journal.wait_for(done + MAILS)[-1] - began)

    send()
    ratios = []
    for _ in range(pairs):
        alone, over = send(), threading.Event()
        desks = open_desks(operator, over)
        time.sleep(6)
        beside = send()
        over.set()
        for desk in desks:
            desk.join(10)
        ratios.append(beside / alone)
        print(f"delivery: {alone:.0f}/s alone, {beside:.0f}/s with {DESKS} desks open", flush=True)
    print(f"delivery with {DESKS} desks open: {statistics.median(ratios):.1%} of alone (median of {pairs})")


async def chores(stage: Stage) -> None:
    """Print how long a sweep and the clean-ups take."""
    database = Database(stage.settings(9).database_url, connections=4, name="bench")
    retention = Retention(database, bodies=timedelta(days=30), rows=timedelta(days=365))
    rescuer = Rescuer(database)
    for name, work in (
        ("sweep", lambda: rescuer.sweep(queue_empty=False)),
        ("roll-up of counters", Rollup(database).run),
        ("retention", retention.clean_up),
    ):
        taken = []
        for _ in range(5):
            began = time.perf_counter()
            await work()  # type: ignore[operator]
            taken.append((time.perf_counter() - began) * 1000)
        print(f"{name:52} {statistics.median(taken):6.1f}ms {max(taken):6.1f}ms")
    await database.close()


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.desk", description=__doc__)
    parser.add_argument("--mails", type=int, default=10_000_000)
    parser.add_argument("--pairs", type=int, default=7)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stage = Stage(stack, Path(folder))
        began = time.time()
        fill(stage.postgres.url, told.mails)
        print(f"filled with {told.mails:,} mails in {time.time() - began:.0f} s")
        add_accounts(stage.postgres.url, [OPERATOR])
        with psycopg.connect(stage.postgres.url, autocommit=True) as connection:
            connection.execute("update accounts set role = 'operator', is_operator = true")
        asyncio.run(chores(stage))
        smtp_port, journal = stack.enter_context(sink_of(stage.folder, 0))
        with app(stage, smtp_port) as running:
            operator = sign_in(running.port)
            time_pages(operator)
            delivery(stage, operator, smtp_port, journal, told.pairs)
            for name, table, indexes in sizes(stage.postgres.url):
                print(f"{name:30} {table:>10} table, {indexes:>10} indexes")


if __name__ == "__main__":
    main()
