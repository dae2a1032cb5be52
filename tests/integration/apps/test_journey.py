"""The example in a whole Mailroom: web, worker and mail server as processes."""

import re
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mailroom.jobs.task_leases import LOOK_EVERY
from mailroom.ops.embedded.ports import free_port
from tests import processes
from tests.integration.apps.test_processes import mailroom
from tests.journeys.conftest import link_in
from tests.journeys.people import Person
from tests.sink import Sink, wait_for

PEOPLE = 30_000
FILE = "email,name\n" + "".join(f"person{n}@example.org,Person {n}\n" for n in range(PEOPLE)) + ",Nobody\n"


@pytest.mark.timeout(300)
@pytest.mark.spoils_its_database
def test_a_member_watches_an_import_cancels_it_begins_it_again_and_is_told_the_end_by_mail(
    with_apps: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    with Sink() as sink:
        environment = {
            **with_apps,
            "SMTP_URL": sink.url,
            "PORT": str(port),
            "PUBLIC_URL": f"http://localhost:{port}",
        }
        assert mailroom(environment, "migrate").returncode == 0
        with (
            processes.web(environment, tmp_path, port),
            processes.running("worker", ["mailroom", "worker"], environment, tmp_path),
            Person("alice@example.org", environment["PUBLIC_URL"]) as alice,
        ):
            alice.sign_up()
            wait_for(lambda: sink.to(alice.email), what="the mail to confirm")
            assert alice.post(link_in(sink.to(alice.email)[0].part("plain"))).status_code == 303
            assert '<a href="/csv-import">Contacts</a>' in alice.get("/account").text

            cancelled: list[int] = []
            with psycopg.connect(environment["DATABASE_URL"]) as reader:  # no import ends before it is cancelled
                reader.execute("lock table csv_import_contacts in share mode")
                answer = alice.post("/csv-import/", files={"file": ("people.csv", FILE.encode())})
                assert answer.status_code == 303, answer.text
                ticket = answer.headers["Location"].rpartition("/")[2]

                def cancel(event: dict[str, Any]) -> None:
                    if event["state"] == "running" and not cancelled:
                        cancelled.append(alice.post(f"/tasks/{ticket}/cancel").status_code)
                        threading.Timer(
                            3 * LOOK_EVERY, reader.commit
                        ).start()  # the worker has heard of it by then

                assert alice.watch(ticket, hear=cancel)[-1]["state"] == "cancelled"
            assert cancelled == [303]
            assert alice.post(f"/tasks/{ticket}/retry").status_code == 303
            told = alice.watch(ticket)
            assert (told[-1]["state"], told[-1]["total"]) == ("done", PEOPLE + 2)

            wait_for(lambda: len(sink.to(alice.email)) == 2, what="the mail about the end")
            assert "30,000 contacts are imported." in sink.to(alice.email)[1].part("plain")
            assert "You have 30,000 contacts." in alice.get("/csv-import").text
            page = re.sub(r"\s+", " ", alice.get(f"/tasks/{ticket}").text)
            assert "See your contacts" in page
            assert "One line has no mail address and was left out." in page
