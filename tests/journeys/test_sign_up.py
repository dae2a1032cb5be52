"""From sign-up to a confirmed account, as a person goes."""

import itertools
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from mailroom.mail.states import MOVES, State
from mailroom.ops.embedded.postgres import Postgres
from tests.journeys.conftest import code_in, link_in
from tests.journeys.people import PASSWORD, Person, text_of
from tests.sink import Fault, wait_for
from tests.stack import Stack, running_stack

pytestmark = pytest.mark.xdist_group("sign-up")  # one stack for the file


@pytest.fixture(scope="module")
def stack(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(postgres, tmp_path_factory.mktemp("stack")) as stack:
        yield stack


_people = itertools.count()


@pytest.fixture
def alice(mailroom: Stack) -> Iterator[Person]:
    with Person(f"alice-{next(_people)}@example.org", mailroom.url) as person:
        yield person


@pytest.fixture
def mallory(mailroom: Stack) -> Iterator[Person]:
    with Person(f"mallory-{next(_people)}@example.net", mailroom.url) as person:
        yield person


def test_alice_signs_up_watches_confirms_and_signs_in(mailroom: Stack, alice: Person) -> None:
    seen = threading.Event()
    mailroom.sink.faults.append(Fault("mail", until=seen))  # the server waits until the page has seen it
    ticket = alice.sign_up()
    assert alice.get(f"/mails/{ticket}").status_code == 200
    told = alice.watch(ticket, hear=lambda event: event["state"] == State.SENDING and seen.set())
    states = [State(event["state"]) for event in told]
    assert State.SENDING in states and states[-1] == State.SENT
    for before, after in itertools.pairwise(states):
        assert after == before or after in MOVES[before]
    assert [m["stage"] for m in told[-1]["timeline"]] == [
        "queued",
        "claimed",
        "connected",
        "handing over",
        "accepted",
    ]

    (mail,) = mailroom.sink.to(alice.email)
    link = link_in(mail.part("plain"))
    page = alice.get(link)
    assert page.status_code == 200 and alice.email in text_of(page)
    assert page.headers["Cache-Control"] == "no-store"
    assert alice.get("/account").status_code in {302, 303}  # looking has confirmed nothing

    assert alice.post(link).status_code == 303
    account = alice.get("/account")
    assert account.status_code == 200 and alice.email in text_of(account)
    assert alice.post("/sign-out").status_code == 303
    assert alice.get("/account").status_code in {302, 303}
    assert alice.post("/sign-in", data={"email": alice.email, "password": PASSWORD}).status_code == 303
    assert alice.get("/account").status_code == 200


def test_the_typed_code_confirms_in_the_browser_that_signed_up(
    mailroom: Stack, alice: Person, mallory: Person
) -> None:
    ticket = alice.sign_up()
    alice.watch(ticket)
    code = code_in(mailroom.sink.to(alice.email)[0].part("plain"))
    mallory.sign_up()
    assert mallory.post("/confirm", data={"code": code}).status_code == 422
    assert alice.post("/confirm", data={"code": code.lower().replace("-", "")}).status_code == 303
    assert alice.get("/account").status_code == 200


def test_another_device_needs_the_password_and_the_first_page_hears_of_it(mailroom: Stack, alice: Person) -> None:
    ticket = alice.sign_up()
    with alice.live() as socket, Person(alice.email, mailroom.url) as phone:
        socket.send(json.dumps({"watch": [ticket]}))
        while not json.loads(socket.recv(timeout=60))["final"]:
            pass
        link = link_in(mailroom.sink.to(alice.email)[0].part("plain"))
        assert "password" in phone.get(link).text
        assert phone.post(link).status_code == 422
        assert phone.post(link, data={"password": "not the right one at all"}).status_code == 422
        assert phone.get("/account").status_code in {302, 303}
        assert phone.post(link, data={"password": PASSWORD}).status_code == 303
        assert phone.get("/account").status_code == 200
        assert json.loads(socket.recv(timeout=60))["afterword"] == "confirmed"


def test_new_pending_and_known_addresses_look_alike(mailroom: Stack, alice: Person, mallory: Person) -> None:
    alice.watch(alice.sign_up())
    assert alice.post(link_in(mailroom.sink.to(alice.email)[0].part("plain"))).status_code == 303

    seen = {}
    mallory.sign_up("pending@example.org")
    with Person("again@example.net", mailroom.url) as again:
        for name, address in (
            ("known", alice.email),
            ("pending", "pending@example.org"),
            ("new", "new@example.org"),
        ):
            ticket = again.sign_up(address)
            told = again.watch(ticket)
            page = text_of(again.get(f"/mails/{ticket}")).replace(address, "ADDRESS").replace(ticket, "TICKET")
            shape = {key: type(value).__name__ for key, value in told[-1].items()}
            seen[name] = (
                [m["stage"] for m in told[-1]["timeline"]],
                shape,
                told[-1]["state"],
                [line for line in page.splitlines() if "<h1" in line or "<title" in line],
            )
    assert seen["known"] == seen["pending"] == seen["new"]
    assert "already" in str(mailroom.sink.to(alice.email)[-1].message["Subject"]).lower()


def test_without_a_worker_the_page_waits_and_a_worker_started_later_finishes(
    mailroom: Stack, alice: Person
) -> None:
    mailroom.kill_worker()
    ticket = alice.sign_up()
    assert alice.task(ticket)["state"] == "queued"
    mailroom.start_worker()
    wait_for(lambda: alice.task(ticket)["state"] == "sent", 20)


def test_with_smtp_down_the_page_says_why_and_when_and_the_mail_goes_once_it_is_back(
    mailroom: Stack, alice: Person
) -> None:
    mailroom.sink.stop()
    ticket = alice.sign_up()
    wait_for(lambda: alice.task(ticket)["state"] == "retrying", 20)
    told = alice.task(ticket)
    assert told["error"]["reason"] == "unreachable" and told["retry_at"] and told["error"]["since"]
    assert "cannot be reached" in told["error"]["message"]
    mailroom.sink.start()
    wait_for(lambda: alice.task(ticket)["state"] == "sent", 10)


def test_a_refused_mail_says_so_and_keeps_the_servers_words_from_strangers(mailroom: Stack, alice: Person) -> None:
    mailroom.sink.faults.append(Fault("rcpt", reply="550 5.1.1 no such person in house Secret"))
    told = alice.watch(alice.sign_up())[-1]
    assert told["state"] == "failed"
    assert told["error"]["code"] == 550 and told["error"]["enhanced"] == "5.1.1"
    assert "Secret" not in json.dumps(told)


def test_a_ticket_is_for_the_browser_that_has_it(alice: Person, mallory: Person) -> None:
    ticket = alice.sign_up()
    mallory.sign_up()
    assert mallory.get(f"/api/v1/tasks/{ticket}").status_code == 404
    assert mallory.get(f"/mails/{ticket}").status_code == 404
    told = mallory.watch(ticket)
    assert told[0]["state"] == "unknown" and told[0]["final"]


def test_a_terminating_web_tells_its_sockets_to_come_back_and_ends_quickly(mailroom: Stack, alice: Person) -> None:
    ticket = alice.sign_up()
    with alice.live() as socket:
        socket.send(json.dumps({"watch": [ticket]}))
        socket.recv(timeout=60)
        assert mailroom.web
        mailroom.web.signal(signal.SIGTERM)
        with suppress(ConnectionClosed):
            while socket.recv(timeout=60):
                pass
        assert socket.close_code == 1012
    mailroom.web.stop()
    mailroom.kill_web()
