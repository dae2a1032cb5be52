"""Delivery beside webhooks: with no endpoint, one that never answers, and one that answers, in turns."""

import asyncio
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

from benchmarks.mail_server import sink_of
from benchmarks.mailing import form_mails
from benchmarks.programs import SENDER, make_key, post, until_it_answers
from benchmarks.stage import Row, Stage, end, rate, settled
from mailroom.bootstrap.services import create_services
from mailroom.ops.embedded.ports import free_port

ROUNDS, MAILS = 4, 2000
MAIL = {"from": SENDER, "to": "alice@example.org", "subject": "bench", "text": "Hello"}
KINDS = ("none", "dead", "live")


class Silent(socketserver.BaseRequestHandler):
    """Takes a connection and says nothing."""

    def handle(self) -> None:
        time.sleep(60)


class Answers(BaseHTTPRequestHandler):
    """Takes whatever comes."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the table readable."""


class ManyConnections(socketserver.ThreadingTCPServer):
    """A thread for each, which nobody waits for."""

    daemon_threads = True
    request_queue_size = 128


def measure(stage: Stage) -> list[Row]:
    """Return what endpoints cost: mails a second, and the time of a mail of a form."""
    silent = ManyConnections(("127.0.0.1", 0), Silent)
    answers = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    for server in (silent, answers):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    urls = {"dead": silent.server_address[1], "live": answers.server_address[1]}
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    waits: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with sink_of(stage.folder, 0) as (port, journal):
        web = free_port()
        environment = stage.environment(
            port,
            PORT=str(web),
            HOST="127.0.0.1",
            PUBLIC_URL=f"http://localhost:{web}",
            WEBHOOK_PRIVATE_NETWORKS="yes",
        )
        processes = [stage.process("-m", "mailroom", name, environment=environment) for name in ("web", "worker")]
        key, url = make_key(stage), f"http://localhost:{web}/api/v1/emails/batch"
        until_it_answers(f"http://localhost:{web}/healthz")
        asyncio.run(form_mails(stage, port, 4))  # the worker is there then
        for number in range(ROUNDS + 1):
            for kind in KINDS:
                stage.forget()
                asyncio.run(endpoint(stage, urls.get(kind)))
                done, began = len(journal.times()), time.time()
                post(url, key, [MAIL] * 100, MAILS // 100, at_once=4)
                speed = rate(began, journal.wait_for(done + MAILS)[done:])
                waited = median(asyncio.run(form_mails(stage, port, 12)))
                settled(stage)
                if number:  # the first round warms up
                    rates[kind].append(speed)
                    waits[kind].append(waited)
        for process in processes:
            end(process)
    for server in (silent, answers):
        server.shutdown()
    speed = {kind: median(values) for kind, values in rates.items()}
    waited = {kind: median(values) for kind, values in waits.items()}

    def cost(kind: str, values: dict[str, list[float]]) -> float:
        return median(one / none for one, none in zip(values[kind], values["none"], strict=True))

    return [
        Row(
            f"{MAILS} mails over HTTP to smtp-sink, with a webhook that never answers",
            f"{speed['dead']:.0f} mails/s",
            f"without webhooks {speed['none']:.0f} mails/s",
            f"{cost('dead', rates):.2f} times",
            "at least 0.95",
        ),
        Row(
            "a mail of a form right behind them, with a webhook that answers",
            f"{waited['live'] * 1000:.0f} ms",
            f"without webhooks {waited['none'] * 1000:.0f} ms",
            f"{cost('live', waits):.2f} times",
            "at most 1.2",
        ),
    ]


async def endpoint(stage: Stage, port: int | None) -> None:
    """Have this endpoint alone, or none."""
    settings = stage.settings(9).model_copy(update={"webhook_private_networks": True})
    have = create_services(settings, lambda _ids: None, lambda *_: None, name="bench")
    await have.database.fetch("delete from webhook_endpoints", {})
    if port:
        async with have.database.begin() as work:
            await have.webhooks.create(work, f"http://127.0.0.1:{port}/", ["email.sent"], key=None)
    await have.database.close()
