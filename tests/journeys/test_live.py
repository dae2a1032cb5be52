"""Watching live through two web processes behind one port: who may, for how long, and what ends it."""

import hashlib
import itertools
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from mailroom.jobs.app import create_celery
from mailroom.jobs.results import ResultWriter
from mailroom.kit.ids import new_id
from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.valkey import running_valkey
from mailroom.progress.reporter import Report
from tests.conftest import ROOT, SECRET_KEY, database_on, settings_of
from tests.processes import Running, wait_until_healthy

pytestmark = pytest.mark.xdist_group("live")  # one pair of processes for the file
PER_SESSION = 4
ENDS_WITHIN = 15
"""Seconds; it is looked at every second, tickets every four, and the machine may be busy."""


class Office:
    """Two web processes, the database they look at, and a worker's pen."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.url = environment["PUBLIC_URL"]
        self.database = psycopg.connect(environment["DATABASE_URL"], autocommit=True)
        self.web = Running("web", ["mailroom", "web"], environment, folder)
        wait_until_healthy(self.web, int(environment["PORT"]))
        self.app = create_celery(settings_of(environment), worker=True, current=False)
        self.writer = ResultWriter(self.app)
        self._steps = itertools.count(1)

    def report(self, ticket: UUID, message: str) -> None:
        self.writer([Report(str(ticket), "running", {"message": message, "step": next(self._steps)})])

    def ticket(self, browser: "Browser") -> UUID:
        ticket = new_id()
        self.database.execute(
            "insert into tasks (id, title, session_id) values (%s, 'A task', %s)", [ticket, browser.session]
        )
        return ticket

    def account(self, *, is_operator: bool = False) -> UUID:
        account = new_id()
        self.database.execute(
            "insert into accounts (id, email, email_key, password_hash, is_operator) values (%s, %s, %s, '', %s)",
            [account, f"{account}@example.org", f"{account}@example.org", is_operator],
        )
        return account

    def close(self) -> None:
        self.web.kill()
        self.database.close()
        self.app.backend.client.connection_pool.disconnect()
        self.app.close()


class Browser:
    """A session of its own."""

    def __init__(self, office: Office, *, account: UUID | None = None) -> None:
        self.office, self.session, self._secret = office, new_id(), secrets.token_urlsafe(32)
        office.database.execute(
            "insert into sessions (id, token_hash, user_agent, account_id, expires_at)"
            " values (%s, %s, 'a browser', %s, now() + interval '1 hour')",
            [self.session, hashlib.sha256(self._secret.encode()).digest(), account],
        )

    def live(self, *, origin: str | None = None, cookie: str | None = None) -> ClientConnection:
        return connect(
            self.office.url.replace("http", "ws") + "/live",
            additional_headers={"Cookie": cookie if cookie is not None else f"mailroom={self._secret}"},
            origin=origin or self.office.url,  # type: ignore[arg-type]
        )

    def sign_out(self) -> None:
        """From anywhere: only the row goes."""
        self.office.database.execute("delete from sessions where id = %s", [self.session])


@pytest.fixture(scope="module")
def office(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder, port = tmp_path_factory.mktemp("live"), free_port()
    with database_on(postgres, f"live_{os.getpid()}") as url, running_valkey(folder / "valkey") as valkey:
        environment = {
            "DATABASE_URL": url,
            "REDIS_URL": valkey.url,
            "SMTP_URL": "smtp://127.0.0.1:9?starttls=never",
            "MAIL_FROM": "Mailroom <hello@mailroom.example>",
            "PUBLIC_URL": f"http://localhost:{port}",
            "SECRET_KEY": SECRET_KEY,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "WEB_CONCURRENCY": "2",
            "LIVE_SOCKETS_PER_SESSION": str(PER_SESSION),
            "LIVE_SOCKETS_PER_ADDRESS": "40",
            "PYTHONPATH": str(ROOT / "src"),
            "PATH": os.environ["PATH"],
        }
        office = Office(environment, folder)
        try:
            yield office
        finally:
            office.close()


@pytest.fixture
def alice(office: Office) -> Browser:
    return Browser(office)


@pytest.fixture
def mallory(office: Office) -> Browser:
    return Browser(office)


def watch(socket: ClientConnection, *tickets: object) -> None:
    socket.send(json.dumps({"watch": [str(ticket) for ticket in tickets]}))


def told(socket: ClientConnection, seconds: float = 60) -> dict[str, Any]:
    heard: dict[str, Any] = json.loads(socket.recv(timeout=seconds))
    return heard


def closed(socket: ClientConnection, seconds: float = ENDS_WITHIN) -> tuple[int | None, str | None]:
    try:
        while True:
            socket.recv(timeout=seconds)
    except ConnectionClosed:
        return socket.close_code, socket.close_reason


def refused(browser: Browser, **options: str) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        browser.live(**options).__enter__()
    return refusal.value.response.status_code


# -- who may


def test_another_browsers_ticket_and_a_guessed_id_get_the_same_answer(
    office: Office, alice: Browser, mallory: Browser
) -> None:
    ticket, guess = office.ticket(alice), uuid4()
    office.report(ticket, "secret")
    with mallory.live() as socket:
        watch(socket, ticket, guess, "nonsense\x00")
        answers = {heard.pop("task"): heard for heard in (told(socket) for _ in range(3))}
        assert answers.keys() == {str(ticket), str(guess), "nonsense\x00"}
        assert len({json.dumps(answer) for answer in answers.values()}) == 1
        assert answers[str(ticket)]["state"] == "unknown" and answers[str(ticket)]["final"]
        office.report(ticket, "more secrets")
        with pytest.raises(TimeoutError):
            socket.recv(timeout=1)


def test_a_foreign_origin_and_a_browser_without_session_are_refused(alice: Browser) -> None:
    assert refused(alice, origin="https://evil.example") == 403
    assert refused(alice, cookie="") == 401
    assert refused(alice, cookie="mailroom=guessed") == 401


def test_sockets_of_a_session_that_ended_are_closed_in_every_process(office: Office, alice: Browser) -> None:
    ticket = office.ticket(alice)
    with ExitStack() as pages, Browser(office).live() as other:
        sockets = [pages.enter_context(alice.live()) for _ in range(PER_SESSION)]
        for socket in sockets:
            watch(socket, ticket)
            assert told(socket)["state"] == "queued"
        alice.sign_out()
        assert {closed(socket) for socket in sockets} == {(4401, "the session ended or changed")}
        assert refused(alice) == 401
        other.ping().wait(5)  # nobody else's


def test_a_ticket_claimed_by_another_browser_is_watched_no_more(
    office: Office, alice: Browser, mallory: Browser
) -> None:
    lost, kept = office.ticket(alice), office.ticket(alice)
    with alice.live() as socket:
        watch(socket, lost, kept)
        assert {told(socket)["task"], told(socket)["task"]} == {str(lost), str(kept)}
        office.database.execute("update tasks set session_id = %s where id = %s", [mallory.session, lost])
        end = told(socket, ENDS_WITHIN)
        assert (end["task"], end["state"], end["final"]) == (str(lost), "unknown", True)
        office.report(lost, "no more of Alice's business")
        office.report(kept, "still hers")
        assert told(socket)["message"] == "still hers"


def test_an_operator_who_is_none_any_more_sees_no_more_of_others(office: Office, alice: Browser) -> None:
    account = office.account(is_operator=True)
    olga, ticket = Browser(office, account=account), office.ticket(alice)
    with olga.live() as socket:
        watch(socket, ticket)
        assert told(socket)["state"] == "queued"
        office.database.execute("update accounts set is_operator = false where id = %s", [account])
        assert closed(socket) == (4401, "the session ended or changed")
    with olga.live() as socket:
        watch(socket, ticket)
        assert told(socket)["state"] == "unknown"


SIGN_IN = "update sessions set account_id = %(hers)s, token_hash = %(secret)s where id = %(session)s"
CHANGES = {
    "signs in": SIGN_IN,
    "signs in and keeps the secret": "update sessions set account_id = %(hers)s where id = %(session)s",
    "gets another secret": "update sessions set token_hash = %(secret)s where id = %(session)s",
    "signs in as an operator": SIGN_IN + "; update accounts set is_operator = true where id = %(hers)s",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_socket_gains_nothing_when_its_session_changes_and_is_closed(
    office: Office, mallory: Browser, what: str
) -> None:
    """Mallory gives Alice a cookie of hers, and keeps a socket open with it while Alice signs in."""
    hers, ticket = office.account(), new_id()
    office.database.execute("insert into tasks (id, title, owner_id) values (%s, 'Hers', %s)", [ticket, hers])
    office.report(ticket, "Alice's own")
    with mallory.live() as socket:
        watch(socket, ticket)
        assert told(socket)["state"] == "unknown"
        values = {"hers": hers, "session": mallory.session, "secret": secrets.token_bytes(32)}
        for statement in CHANGES[what].split("; "):
            office.database.execute(statement, values)
        until, answers = time.monotonic() + ENDS_WITHIN, []
        try:
            while time.monotonic() < until:
                watch(socket, ticket, "tasks")
                answers += [told(socket)["state"], told(socket)["state"]]
                time.sleep(0.3)
        except ConnectionClosed:
            pass
        assert (socket.close_code, socket.close_reason) == (4401, "the session ended or changed")
        assert set(answers) <= {"unknown"}


def test_a_socket_of_a_member_is_closed_when_the_browser_becomes_someone_elses(office: Office) -> None:
    browser = Browser(office, account=office.account())
    with browser.live() as socket:
        bob = office.account()
        office.database.execute("update sessions set account_id = %s where id = %s", [bob, browser.session])
        assert closed(socket) == (4401, "the session ended or changed")


def test_whose_tasks_they_are_is_told_that_their_list_has_changed_and_nobody_else(
    office: Office, mallory: Browser
) -> None:
    hers = office.account()
    alice, bob = Browser(office, account=hers), Browser(office, account=office.account())
    with alice.live() as page, bob.live() as other, mallory.live() as nobody:
        for socket in (page, other, nobody):
            watch(socket, "tasks")
        assert told(nobody)["state"] == "unknown"
        before, empty = told(page), told(other)
        assert (before["task"], before["state"], before["message"]) == ("tasks", "listed", empty["message"])
        office.database.execute(
            "insert into tasks (id, title, owner_id, name, state) values (%s, 'A task', %s, 'some', 'queued')",
            [new_id(), hers],
        )
        begun = told(page)
        office.database.execute("update tasks set state = 'done' where owner_id = %s", [hers])
        assert len({before["message"], begun["message"], told(page)["message"]}) == 3
        with pytest.raises(TimeoutError):
            other.recv(timeout=0.5)


def test_the_desk_tells_those_who_have_a_role_that_it_has_changed_and_nobody_else(office: Office) -> None:
    operator, viewer = office.account(is_operator=True), office.account()
    office.database.execute("update accounts set role = 'viewer' where id = %s", [viewer])
    olga, victor = Browser(office, account=operator), Browser(office, account=viewer)
    alice = Browser(office, account=office.account())
    with olga.live() as page, victor.live() as other, alice.live() as nobody:
        for socket in (page, other, nobody):
            watch(socket, "desk")
        assert told(nobody)["state"] == "unknown"
        before = told(page)
        assert (before["task"], before["state"]) == ("desk", "listed") and told(other)["state"] == "listed"
        office.database.execute("insert into pauses (what, name, by_name) values ('all', '', 'Olga')")
        assert told(page)["message"] != before["message"]
        office.database.execute("delete from pauses")


# -- any process, any number


def test_every_process_tells_every_watcher(office: Office) -> None:
    with ExitStack() as pages:
        for number in range(8):
            browser = Browser(office)
            ticket = office.ticket(browser)
            sockets = [pages.enter_context(browser.live()) for _ in range(2)]
            for socket in sockets:
                watch(socket, ticket)
                assert told(socket)["state"] == "queued"
            office.report(ticket, f"news for {number}")
            for socket in sockets:
                assert told(socket)["message"] == f"news for {number}"


def test_whoever_watches_anew_is_answered_anew(office: Office, alice: Browser) -> None:
    """By which a page finds out, after its laptop slept, whether its line is still alive."""
    ticket = office.ticket(alice)
    with alice.live() as socket:
        for _ in range(2):
            watch(socket, ticket)
            assert told(socket)["task"] == str(ticket)


# -- limits


def test_a_browser_may_hold_only_so_many_sockets(alice: Browser, mallory: Browser) -> None:
    statuses = []
    with ExitStack() as pages:
        for _ in range(2 * PER_SESSION + 1):  # each of the two processes counts its own
            try:
                pages.enter_context(alice.live())
            except InvalidStatus as refusal:
                statuses.append(refusal.response.status_code)
        assert statuses and set(statuses) == {429}
        pages.enter_context(mallory.live())
    with alice.live() as again:  # and the places are free again
        again.ping().wait(5)


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        "[" * 5000,
        "null",
        '{"watch": "all"}',
        '{"watch": [1]}',
        '{"watch": [[]]}',
        '{"watch": {}}',
        '{"watch": [], "password": "x"}',
        "\x00",
        "9" * 5000,
        '{"watch": ["' + "\\u0000" * 10 + '", 1.5]}',
    ],
)
def test_a_message_that_makes_no_sense_is_answered_with_a_code(alice: Browser, message: str) -> None:
    with alice.live() as socket:
        socket.send(message)
        assert closed(socket) == (4400, 'send {"watch": [ticket]} or {"unwatch": [ticket]}')


def test_more_tickets_than_a_page_can_have_are_answered_with_a_code(office: Office, alice: Browser) -> None:
    mine = [office.ticket(alice) for _ in range(101)]
    with alice.live() as socket:
        watch(socket, *mine[:100])
        assert {told(socket)["task"] for _ in range(100)} == {str(ticket) for ticket in mine[:100]}
        socket.send(json.dumps({"unwatch": [str(mine[0])]}))
        watch(socket, mine[100])
        assert told(socket)["task"] == str(mine[100])
        watch(socket, mine[0])
        assert closed(socket) == (4429, "at most 100 tickets a socket")


def test_guesses_and_floods_are_answered_with_a_code(alice: Browser) -> None:
    with alice.live() as socket:
        for _ in range(2):
            watch(socket, *(uuid4() for _ in range(99)))
            assert {told(socket)["state"] for _ in range(99)} == {"unknown"}
        watch(socket, *(uuid4() for _ in range(3)))
        assert closed(socket) == (4429, "too many unknown tickets")
    with alice.live() as socket:
        try:
            for _ in range(300):
                socket.send('{"watch": []}')
        except ConnectionClosed:
            pass
        assert closed(socket) == (4429, "too many messages")
    with alice.live() as socket:
        socket.send('{"watch": ["' + "x" * 17_000 + '"]}')
        assert closed(socket)[0] == 1009
    with alice.live() as socket:
        socket.send(b"\x00\x01")
        assert closed(socket)[0] == 1003
