"""A small plan of Redis, with 20 connections in all: web, worker and submission get by with them."""

import smtplib
from pathlib import Path

import redis

from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.valkey import running_valkey
from tests import processes
from tests.journeys.conftest import key_for, link_in
from tests.journeys.people import Person, text_of
from tests.sink import Sink, wait_for

PLAN = 20
MAIL = {"from": "hello@mailroom.example", "subject": "An offer", "text": "x"}


def test_people_and_programs_send_through_web_worker_and_submission(
    environment: dict[str, str], sink: Sink, tmp_path: Path
) -> None:
    with running_valkey(tmp_path / "valkey") as valkey, redis.Redis.from_url(valkey.url) as watcher:
        watcher.config_set("maxclients", PLAN)
        told = {**environment, "REDIS_URL": valkey.url, "SUBMISSION_PORT": str(free_port())}
        with (
            processes.running("web", ["mailroom", "web"], told, tmp_path) as web,
            processes.running("worker", ["mailroom", "worker"], told, tmp_path) as worker,
            processes.running("submission", ["mailroom", "submission"], told, tmp_path) as submission,
        ):
            processes.wait_until_healthy(web, int(told["PORT"]))
            worker.wait_for(" ready.")
            submission.wait_for("SMTP submission listens")
            key = key_for(told)
            with Person("alice@example.org", told["PUBLIC_URL"]) as alice:
                assert alice.watch(alice.sign_up())[-1]["state"] == "sent"
                assert alice.post(link_in(sink.to("alice@example.org")[0].part("plain"))).status_code == 303
                assert "alice@example.org" in text_of(alice.get("/account"))
                export = alice.post("/account/export").headers["Location"].rpartition("/")[2]
                assert alice.watch(export)[-1]["state"] == "done"
                batch = [{**MAIL, "to": [f"{number}@example.org"]} for number in range(100)]
                sent = alice.post("/api/v1/emails/batch", json=batch, headers={"Authorization": f"Bearer {key}"})
                assert sent.status_code == 200, sent.text
            with smtplib.SMTP("127.0.0.1", int(told["SUBMISSION_PORT"])) as program:
                program.login("shop", key)
                program.sendmail(MAIL["from"], ["bob@example.org"], f"From: {MAIL['from']}\r\nSubject: x\r\n\r\nx")
            wait_for(lambda: sink.to("bob@example.org") and len(sink.accepted) >= 102, 60, "all mails")
            clients, refused = len(watcher.client_list()), watcher.info("stats")["rejected_connections"]
            assert refused == 0 and clients < PLAN - 2, f"{clients} connections, {refused} refused"
