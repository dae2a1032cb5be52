"""What happens to a session ends its sockets and long polls at once; the browser's new cookie may watch on."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from uuid import UUID

import httpx
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from mailroom.accounts.tokens import NEW_PASSWORD, Tokens
from tests.conftest import SECRET_KEY
from tests.journeys.people import PASSWORD, Person
from tests.processes import Running

AT_ONCE = 1.5
"""Seconds; the process that changes a session waits for nothing."""
NEWER = "eleven patient herons count rain"


class Town:
    """One web process, and its database to look secrets up in."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._people = ExitStack()

    def person(self, email: str) -> Person:
        return self._people.enter_context(Person(email, self.environment["PUBLIC_URL"]))

    def close(self) -> None:
        self._people.close()

    def path_in(self, ticket: str, purpose: str | None = None) -> str:
        """What the mail of this ticket has as its link."""
        with psycopg.connect(self.environment["DATABASE_URL"]) as database:
            found = database.execute("select nonce from mails where id = %s", [ticket]).fetchone()
        assert found
        tokens = Tokens([SECRET_KEY])
        if purpose:
            return f"/new-password/{tokens.token(UUID(ticket), found[0], purpose)}"
        return f"/confirm/{tokens.token(UUID(ticket), found[0])}"

    def member(self, email: str) -> Person:
        person = self.person(email)
        assert person.post(self.path_in(person.sign_up())).status_code == 303
        return person


@pytest.fixture
def town(web: Running, environment: dict[str, str]) -> Iterator[Town]:
    town = Town(environment)
    yield town
    town.close()


def sign_in(person: Person) -> httpx.Response:
    answer = person.post("/sign-in", data={"email": person.email, "password": PASSWORD})
    assert answer.status_code == 303
    return answer


def closed_with(socket: ClientConnection, seconds: float = AT_ONCE) -> int | None:
    until = time.monotonic() + seconds
    try:
        while True:
            socket.recv(timeout=max(0, until - time.monotonic()))
    except ConnectionClosed:
        return socket.close_code


def test_who_gave_somebody_a_cookie_learns_nothing_after_they_signed_in(town: Town) -> None:
    elsewhere, alice = town.member("alice@example.org"), town.person("alice@example.org")
    ticket = elsewhere.get("/api/v1/tasks").json()["tasks"][0]["task"]
    mallory = town.person("mallory@example.net")
    mallory.sign_up()
    alice.cookies.update(mallory.cookies)
    with mallory.live() as socket:
        sign_in(alice)
        with suppress(ConnectionClosed):
            socket.send(json.dumps({"watch": [ticket]}))
            assert json.loads(socket.recv(timeout=60))["state"] == "unknown"
        assert closed_with(socket) == 4401
    with pytest.raises(InvalidStatus):
        mallory.live()
    assert alice.task(ticket)["task"] == ticket


def sign_out(_town: Town, alice: Person) -> None:
    alice.post("/sign-out")


def sign_in_again(_town: Town, alice: Person) -> None:
    sign_in(alice)


def end_in_the_list(town: Town, alice: Person) -> None:
    phone = town.person(alice.email)
    sign_in(phone)
    listed = phone.get("/account/sessions").text
    for path in reversed(re.findall(r"/account/sessions/[^/]+/end", listed)):  # its own last
        phone.post(path)


def choose_a_new_password(town: Town, alice: Person) -> None:
    phone = town.person(alice.email)
    ticket = phone.post("/new-password", data={"email": alice.email}).headers["Location"].rpartition("/")[2]
    answer = phone.post(town.path_in(ticket, NEW_PASSWORD), data={"password": NEWER})
    assert answer.status_code == 303, answer.text


@pytest.mark.parametrize("change", [sign_out, sign_in_again, end_in_the_list, choose_a_new_password])
def test_sockets_and_long_polls_of_a_session_end_at_once(
    town: Town, change: Callable[[Town, Person], None]
) -> None:
    alice, bob = town.member("alice@example.org"), town.member("bob@example.org")
    mine = alice.get("/api/v1/tasks").json()["tasks"][0]["task"]
    tag = alice.get(f"/api/v1/tasks/{mine}").headers["ETag"]
    tab = town.person(alice.email)
    tab.cookies.update(alice.cookies)
    with tab.live() as socket, bob.live() as other, ThreadPoolExecutor() as threads:
        path, headers = f"/api/v1/tasks/{mine}?wait=20", {"If-None-Match": tag}
        polling = threads.submit(tab.get, path, headers=headers)
        time.sleep(0.5)
        change(town, alice)
        assert closed_with(socket) == 4401
        assert polling.result(AT_ONCE).status_code == 404
        other.ping().wait(5)  # nobody else's


def test_a_browser_that_confirms_watches_on_with_its_new_cookie(town: Town) -> None:
    alice = town.person("alice@example.org")
    ticket = alice.sign_up()
    with alice.live() as socket:
        socket.send(json.dumps({"watch": [ticket]}))
        assert json.loads(socket.recv(timeout=60))["state"] == "queued"
        assert alice.post(town.path_in(ticket)).status_code == 303
        assert closed_with(socket) == 4401
    with alice.live() as socket:
        socket.send(json.dumps({"watch": [ticket]}))
        assert json.loads(socket.recv(timeout=60))["afterword"] == "confirmed"


def test_a_long_poll_for_a_ticket_that_became_someone_elses_ends(town: Town) -> None:
    alice = town.person("alice@example.org")
    ticket = alice.sign_up()
    tag = alice.get(f"/api/v1/tasks/{ticket}").headers["ETag"]
    path, headers = f"/api/v1/tasks/{ticket}?wait=20", {"If-None-Match": tag}
    with ThreadPoolExecutor() as threads:
        polling = threads.submit(alice.get, path, headers=headers)
        time.sleep(0.5)
        with psycopg.connect(town.environment["DATABASE_URL"], autocommit=True) as database:
            database.execute("update tasks set session_id = null where id = %s", [ticket])
        assert polling.result(10).status_code == 404
