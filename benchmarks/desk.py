"""The desk with millions of mails: `python -m benchmarks.desk --mails 10000000`.

Fills PostgreSQL, asks for each page and search one after the other, times the sweep and the clean-ups, and
measures delivery with ten desks open beside none, in turn. The client runs on the same cores. With `--data FOLDER`
the servers' data stays there, and the next run does not fill it again.
"""

import argparse
import asyncio
import re
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import psycopg
from websockets.sync.client import connect
from websockets.typing import Origin

from benchmarks.desk_rows import fill, sizes
from benchmarks.mail_server import Journal, sink_of
from benchmarks.people import PASSWORD, add_accounts
from benchmarks.sign_ups import App, processes_of
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
    "/desk/mails?q=to:person77@example.com+since:all",
    "/desk/mails?q=state:failed+code:550+since:30d",
    "/desk/mails?q=state:uncertain+since:all",
    "/desk/mails?q=kind:confirm_sign_up+to:@example.org+state:retrying",
    "/desk/mails?q=key:shop-3",
    "/desk/mails?q=tag:campaign=spring",
    "/desk/mails?q=mailbox",
    "/desk/mails?q=invoice+7000",
    "/desk/mails?q=nowhere+to+be+found",
    "/desk/failures",
    "/desk/failures?since=30d",
    "/desk/tasks",
    "/desk/tasks?state=failed",
    "/desk/tasks?name=acme.rare",
    "/desk/tasks?words=list-777777",
    "/desk/people",
    "/desk/people?q=@example.org",
    "/desk/keys",
    "/desk/audit",
    "/desk/webhooks",
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


def time_pages(client: httpx.Client, running: App) -> None:
    """Print how long each page takes, and the processor time of PostgreSQL and of the web for it.

    On a machine with other work the times are longer than on one of its own; the processor times are not.
    """
    print(f"\n{'page':68} {'first':>8} {'median':>8} {'longest':>8} {'database':>9} {'web':>8}")
    for path in (*PAGES, *pages_of_one(client)):
        taken: list[float] = []
        before = running.cpu()
        for _ in range(TIMES):
            began = time.perf_counter()
            answer = client.get(path)
            taken.append((time.perf_counter() - began) * 1000)
            if answer.status_code != httpx.codes.OK:
                print(f"{path:68} {answer.status_code}")
                break
            time.sleep(0.1)
        else:
            first, *rest = taken
            spent = {part: (at - before[part]) * 1000 / TIMES for part, at in running.cpu().items()}
            wall = f"{first:6.1f}ms {statistics.median(rest):6.1f}ms {max(rest):6.1f}ms"
            print(f"{path:68} {wall} {spent['PostgreSQL']:7.1f}ms {spent['web']:6.1f}ms", flush=True)


def pages_of_one(client: httpx.Client) -> list[str]:
    """Return the pages of one mail, task and account, and the second page of lists, as links lead to them."""
    found = []
    for page, link in (
        ("/desk/mails?q=state:failed", r'/desk/mails/[0-9a-f-]{36}(?=")'),
        ("/desk/mails", r'/desk/mails\?[^"]*below=[^"]*'),
        ("/desk/tasks?state=failed", r'/desk/tasks/[0-9a-f-]{36}(?=")'),
        ("/desk/tasks", r'/desk/tasks\?[^"]*before=[^"]*'),
        ("/desk/people", r'/desk/people/[0-9a-f-]{36}(?=")'),
    ):
        if match := re.search(link, client.get(page).text):
            found.append(unescape(match[0]))
    return found


def open_desks(operator: httpx.Client, over: threading.Event) -> list[threading.Thread]:
    """Keep ten desks open, as `desk.js` does: each fetches when its websocket says so. They share one session."""
    address = str(operator.base_url).rstrip("/")
    cookie = "; ".join(f"{name}={value}" for name, value in operator.cookies.items())

    def look(place: int) -> None:
        client = httpx.Client(base_url=operator.base_url, cookies=operator.cookies, timeout=30)
        time.sleep(place * 0.5)
        url, headers = f"{address.replace('http', 'ws', 1)}/live?view=1", {"Cookie": cookie}
        with connect(url, additional_headers=headers, origin=Origin(address)) as line:
            line.send('{"watch": ["desk"]}')
            while not over.is_set():
                with suppress(TimeoutError):
                    line.recv(timeout=0.5)
                    assert client.get("/desk?part=live").status_code == httpx.codes.OK

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
    parser.add_argument("--only", choices=("pages", "delivery"), help="measure nothing else")
    parser.add_argument("--data", type=Path, help="a folder that keeps the servers' data")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stage = Stage(stack, told.data or Path(folder))
        prepare(stage, told.mails)
        if told.only is None:
            asyncio.run(chores(stage))
        smtp_port, journal = stack.enter_context(sink_of(stage.folder, 0))
        with processes_of(stage, smtp_port) as running:
            operator = sign_in(running.port)
            if told.only != "delivery":
                time_pages(operator, running)
            if told.only != "pages":
                delivery(stage, operator, smtp_port, journal, told.pairs)
            for name, table, indexes in sizes(stage.postgres.url):
                print(f"{name:30} {table:>10} table, {indexes:>10} indexes")


def prepare(stage: Stage, mails: int) -> None:
    """Fill the database, unless it is filled, and make an operator."""
    began = time.time()
    with psycopg.connect(stage.postgres.url, autocommit=True) as connection:
        if connection.execute("select 1 from accounts where email = %s", (OPERATOR,)).fetchone():
            return
        fill(stage.postgres.url, mails)
        print(f"filled with {mails:,} mails in {time.time() - began:.0f} s")
        add_accounts(stage.postgres.url, [OPERATOR])
        connection.execute(
            "update accounts set role = 'operator', is_operator = true where email = %s", (OPERATOR,)
        )


if __name__ == "__main__":
    main()
