"""`mailroom doctor` against real servers, whole and hurt."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psycopg
import pytest
import redis
from kombu.exceptions import OperationalError

from mailroom.bootstrap.shell import create_shell_services, open_tracker, worker_names
from mailroom.kit.ids import new_id
from mailroom.ops.doctor import addresses, database, examine, mail_server, redis_servers
from mailroom.ops.doctor.findings import Finding
from mailroom.ops.entrypoints import Entrypoints
from mailroom.ops.terminal import Mark
from mailroom.settings import Settings
from mailroom.settings.urls import redis_place
from tests.conftest import settings_of
from tests.processes import running
from tests.sink import Fault, Sink, wait_for

WORD = "a-word-that-must-not-be-shown"


@dataclass(frozen=True)
class Report:
    """What the doctor said."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float

    def line(self, check: str) -> str:
        (line,) = [line for line in self.stdout.splitlines() if line[2:].startswith(f"{check}: ")]
        return line


Doctor = Callable[..., Report]


@pytest.fixture
def doctor(environment: dict[str, str], tmp_path: Path) -> Doctor:
    def run(*options: str, **changes: str) -> Report:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "mailroom", "doctor", *options],
            env={**environment, **changes},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert environment["SECRET_KEY"] not in done.stdout + done.stderr
        return Report(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    return run


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


def entrypoints(workers: list[str] | Exception) -> Entrypoints:
    """Return entry points behind which these workers answer."""

    def ask(_settings: Settings) -> dict[str, list[str]]:
        if isinstance(workers, Exception):
            raise workers
        return {"broker.example:6379/0": workers}

    return Entrypoints(
        web=lambda _settings, _fd: 0,
        worker=lambda _settings, _one: 0,
        submission=lambda _settings, _fd: 0,
        services=create_shell_services,
        tracker=open_tracker,
        queue_depth=lambda _settings: 3,
        workers=ask,
    )


def one(findings: list[Finding], check: str) -> Finding:
    (found,) = [finding for finding in findings if finding.check == check]
    return found


# -- the whole of it, as a process


def test_all_is_well_while_a_worker_runs_and_nothing_is_once_it_is_dead(
    doctor: Doctor, sink: Sink, environment: dict[str, str], tmp_path: Path
) -> None:
    well = {
        "SMTP_URL": sink.url,
        "PUBLIC_URL": "https://mailroom.org",
        "MAIL_FROM": "hello@mailroom.org",
        "TRUSTED_PROXIES": "1",
    }
    with running("worker", ["mailroom", "worker"], environment, tmp_path) as worker:
        worker.wait_for(" ready.")
        report = doctor(**well)
        assert report.returncode == 0, report.stdout
        assert report.stderr == ""
        assert report.stdout.endswith("All is well.\n")
        signs = [line[0] for line in report.stdout.splitlines() if line[1:2] == " " and line[0] in "✓!✗?"]
        assert set(signs) == {"✓"}
        for check in ("Settings", "Database", "Migrations", "Clock", "Mail server", "From address", "Secret key"):
            assert report.line(check)[0] == "✓"
        assert "1 worker answers" in report.line("Workers")
        assert doctor(**{**well, "PUBLIC_URL": "http://mailroom.org"}).returncode == 1, "a warning"

        worker.signal(signal.SIGSTOP)
        report = doctor(**well)
        assert report.returncode == 2
        assert "no worker answers through the broker, though some are connected" in report.line("Workers")

        worker.kill()
        report = doctor(**well)
        assert report.returncode == 2
        assert report.line("Workers") == "✗ Workers: no worker runs: all mails wait; 0 messages in the queue."
        assert "Mailroom does not work until this is mended: 1 fault (✗)." in report.stdout
    assert sink.accepted == []


@pytest.mark.parametrize("encoding", ["iso-8859-1", "ascii", "utf-8"])
def test_a_terminal_of_any_encoding_can_show_the_report(doctor: Doctor, encoding: str) -> None:
    report = doctor(PYTHONIOENCODING=encoding, MAIL_FROM="Bücher <hello@mailroom.org>")
    assert report.returncode == 2
    assert report.line("Settings")[0] == ("✓" if encoding == "utf-8" else "+")
    assert report.line("Workers")[0] == ("✗" if encoding == "utf-8" else "x")


@pytest.mark.skipif(not shutil.which("localedef"), reason="no localedef to make a locale with")
def test_an_old_locale_is_no_reason_to_crash(doctor: Doctor, tmp_path: Path) -> None:
    made = subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", tmp_path / "en_US.ISO-8859-1"],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("the sources of locales are not installed")
    report = doctor(LOCPATH=str(tmp_path), LC_ALL="en_US.ISO-8859-1", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert report.line("Settings")[0] == "+"


def test_everything_broken_is_told_at_once_without_a_secret(doctor: Doctor) -> None:
    report = doctor(
        DATABASE_URL=f"postgresql://mailroom:{WORD}@127.0.0.1:9/mailroom",
        REDIS_URL=f"redis://:{WORD}@127.0.0.1:9/0",
        SMTP_URL=f"smtp://olga:{WORD}@127.0.0.1:9",
    )
    assert report.returncode == 2
    for check in ("Database", "Redis (broker, results, limits)", "Mail server"):
        assert report.line(check)[0] == "✗"
        assert "127.0.0.1:9" in report.line(check)
    assert "Start PostgreSQL, or correct DATABASE_URL." in report.stdout
    assert WORD not in report.stdout + report.stderr


def test_servers_that_swallow_everything_do_not_hold_the_doctor_up(doctor: Doctor) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        port = silent.getsockname()[1]
        report = doctor(
            DATABASE_URL=f"postgresql://mailroom:{WORD}@127.0.0.1:{port}/mailroom",
            REDIS_URL=f"redis://127.0.0.1:{port}/0",
            SMTP_URL=f"smtp://127.0.0.1:{port}?starttls=never",
        )
    assert report.returncode == 2
    assert report.seconds < 20  # of which 8 are the checks, the rest starting up on a busy machine
    for check in ("Database", "Redis (broker, results, limits)", "Mail server"):
        assert report.line(check)[0] == "✗"


def test_bad_settings_are_findings_like_any_other(doctor: Doctor) -> None:
    report = doctor("--json", PUBLIC_URL="mailroom", SMTP_URL="")
    assert report.returncode == 2
    told = json.loads(report.stdout)
    assert told["ok"] is False
    assert "no .env" in told["source"]
    assert [finding["check"] for finding in told["findings"]] == ["settings", "settings"]
    words = " ".join(finding["words"] for finding in told["findings"])
    assert "SMTP_URL is not set" in words
    assert "PUBLIC_URL must be scheme and host" in words


# -- the database


@pytest.mark.spoils_its_database
async def test_a_database_that_was_never_migrated(settings: Settings, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("drop schema public cascade; create schema public")
    found = one(await database.check(settings), "migrations")
    assert found.mark is Mark.BROKEN
    assert "no tables of Mailroom's yet" in found.words
    assert "mailroom migrate" in found.advice


@pytest.mark.spoils_its_database
async def test_a_database_that_another_version_migrated(settings: Settings, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("update alembic_version set version_num = 'tomorrow'")
    found = one(await database.check(settings), "migrations")
    assert found.mark is Mark.BROKEN
    assert "another version of Mailroom, or for an app not here (tomorrow)" in found.words


async def test_a_wrong_password_and_a_database_that_is_not_there(environment: dict[str, str]) -> None:
    right = environment["DATABASE_URL"]
    wrong = right.replace(right.split(":")[2].split("@")[0], WORD)
    (found,) = await database.check(settings_of(environment, database_url=wrong))
    assert found.mark is Mark.BROKEN
    assert "does not accept the user and password" in found.words
    (found,) = await database.check(settings_of(environment, database_url=f"{right}_not"))
    assert "does not exist" in found.words
    assert found.advice.startswith("Create it")


@pytest.mark.spoils_its_database
async def test_more_connections_than_the_database_has(environment: dict[str, str], database_url: str) -> None:
    name = database_url.rpartition("/")[2]
    with psycopg.connect(database_url) as connection:
        connection.execute(f"alter database {name} connection limit 20")
    fits = settings_of(environment, web_concurrency=1, worker_processes=1, database_connections=10)
    assert one(await database.check(fits), "database connections").mark is Mark.GOOD
    found = one(await database.check(fits.model_copy(update={"worker_processes": 2})), "database connections")
    assert found.mark is Mark.BROKEN
    assert "(1 web + 2 worker) x 10 = 30 connections" in found.words
    assert "only 20" in found.words


async def test_a_clock_that_is_off(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    true = time.time
    monkeypatch.setattr(database, "time", type("Off", (), {"time": staticmethod(lambda: true() + 90)}))
    found = one(await database.check(settings), "clock")
    assert found.mark is Mark.WARNING
    assert "90 s ahead of the database" in found.words


# -- Redis


REDIS = "redis (broker, results, limits)"


async def test_a_wrong_redis_password(environment: dict[str, str], redis_url: str) -> None:
    wrong = f"redis://:{WORD}@{redis_url.rpartition('@')[2]}"
    for url in (wrong, wrong.replace(f":{WORD}@", "")):
        (found,) = await redis_servers.check(settings_of(environment, redis_url=url))
        assert found.mark is Mark.BROKEN
        assert "does not accept the password" in found.words


async def test_an_eviction_policy_that_throws_messages_away(settings: Settings, redis_url: str) -> None:
    assert one(await redis_servers.check(settings), f"{REDIS} eviction").mark is Mark.GOOD
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            found = one(await redis_servers.check(settings), f"{REDIS} eviction")
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert found.mark is Mark.WARNING
    assert "allkeys-lru" in found.words
    assert "noeviction" in found.advice


async def test_more_connections_than_redis_has(environment: dict[str, str], redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        most = int(client.config_get("maxclients")["maxclients"])
    each = most // 2 + 1
    settings = settings_of(environment, redis_connections=each, web_concurrency=1, worker_processes=1)
    found = one(await redis_servers.check(settings), f"{REDIS} connections")
    assert found.mark is Mark.BROKEN
    assert f"= {2 * each} connections" in found.words


async def test_each_server_is_checked_once_and_named_for_what_it_does(
    environment: dict[str, str], redis_url: str
) -> None:
    settings = settings_of(environment, broker_url=f"{redis_url};redis://127.0.0.1:9/0")
    found = await redis_servers.check(settings)
    assert one(found, "redis (broker 1, results, limits)").mark is Mark.GOOD
    assert one(found, "redis (broker 2)").mark is Mark.BROKEN


async def test_a_redis_that_tells_nothing_of_itself_is_no_broken_one(
    environment: dict[str, str], redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.acl_setuser("guest", enabled=True, passwords=["+word"], keys=["*"], commands=["+@all", "-info"])
        try:
            url = f"redis://guest:word@{redis_url.rpartition('@')[2]}"
            (found,) = await redis_servers.check(settings_of(environment, redis_url=url))
        finally:
            client.acl_deluser("guest")
    assert found.mark is Mark.UNKNOWN


# -- the mail server


async def test_a_mail_server_without_starttls_where_it_is_required(
    environment: dict[str, str], sink: Sink
) -> None:
    url = f"smtp://127.0.0.1:{sink.port}?starttls=required"
    (found,) = await mail_server.check(settings_of(environment, smtp_url=url))
    assert found.mark is Mark.BROKEN
    assert "offers no safe connection" in found.words


async def test_a_mail_server_that_is_down(environment: dict[str, str], sink: Sink) -> None:
    settings = settings_of(environment, smtp_url=sink.url)
    (found,) = await mail_server.check(settings)
    assert found.mark is Mark.GOOD
    assert "not encrypted" in found.words
    sink.stop()
    (found,) = await mail_server.check(settings)
    assert found.mark is Mark.BROKEN
    assert "cannot be reached" in found.words


async def test_a_mail_server_that_does_not_take_the_sign_in(environment: dict[str, str], sink: Sink) -> None:
    offer = Fault("ehlo", "250-sink.example\r\n250 AUTH PLAIN LOGIN")
    sink.faults = [offer]
    settings = settings_of(environment, smtp_url=f"smtp://olga:{WORD}@127.0.0.1:{sink.port}?starttls=never")
    assert "sign-in accepted" in one(await mail_server.check(settings), "mail server").words
    sink.faults = [offer, Fault("auth", f"535 5.7.8 {WORD} is wrong")]
    (found,) = await mail_server.check(settings)
    assert found.mark is Mark.BROKEN
    assert "does not accept the sign-in: 535 5.7.8 *** is wrong" in found.words


async def test_a_mail_server_that_offers_no_sign_in(environment: dict[str, str], sink: Sink) -> None:
    url = f"smtp://olga:{WORD}@127.0.0.1:{sink.port}?starttls=never"
    (found,) = await mail_server.check(settings_of(environment, smtp_url=url))
    assert found.mark is Mark.BROKEN
    assert "does not accept the sign-in" in found.words


async def test_a_password_that_would_cross_a_network_in_the_clear(
    environment: dict[str, str], sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.faults = [Fault("ehlo", "250-sink.example\r\n250 AUTH PLAIN LOGIN")]
    monkeypatch.setattr(mail_server, "is_loopback", lambda _host: False)  # all our servers are on loopback
    url = f"smtp://olga:{WORD}@127.0.0.1:{sink.port}?starttls=never"
    _, found = await mail_server.check(settings_of(environment, smtp_url=url))
    assert found.mark is Mark.WARNING
    assert "starttls=required" in found.advice


# -- what the settings alone tell


@pytest.mark.parametrize(
    ("check", "mark", "changes"),
    [
        ("secret key", Mark.BROKEN, {"secret_key": "a" * 40}),
        ("secret key", Mark.BROKEN, {"secret_key": "please-change-me-before-going-live-0123"}),
        ("secret key", Mark.GOOD, {"secret_key": "3f9a1c0b7d2e4865" * 2}),
        ("from address", Mark.WARNING, {"mail_from": "hello@example.org"}),
        ("from address", Mark.WARNING, {"mail_from": "hello@elsewhere.net", "public_url": "https://mailroom.org"}),
        (
            "from address",
            Mark.GOOD,
            {"mail_from": "hello@mailroom.org", "public_url": "https://mail.mailroom.org"},
        ),
        ("public URL", Mark.WARNING, {"public_url": "http://mailroom.org"}),
        ("public URL", Mark.WARNING, {"public_url": "http://localhost:8000"}),
        ("public URL", Mark.GOOD, {"public_url": "https://mailroom.org"}),
        ("public URL", Mark.GOOD, {"public_url": "http://localhost:8000", "mailroom_embedded": True}),
        ("proxies", Mark.WARNING, {"public_url": "https://mailroom.org", "trusted_proxies": 0}),
        ("metrics token", Mark.WARNING, {"metrics_token": "short"}),
    ],
)
async def test_settings_that_can_be_read_and_may_still_be_wrong(
    environment: dict[str, str], check: str, mark: Mark, changes: dict[str, object]
) -> None:
    assert one(await addresses.check(settings_of(environment, **changes)), check).mark is mark


# -- workers


@pytest.mark.parametrize(
    ("workers", "overdue", "mark", "words"),
    [
        (["a@host", "b@host"], False, Mark.GOOD, "2 workers answer; 3 messages in the queue"),
        (["a@host"], True, Mark.WARNING, "1 worker answers; 1 mail has been overdue"),
        ([], False, Mark.BROKEN, "no worker runs: all mails wait"),
        ([], True, Mark.BROKEN, "no worker runs: all mails wait; 1 mail has been overdue"),
        (ConnectionError("away"), False, Mark.UNKNOWN, "so they cannot be asked: away"),
    ],
)
def test_workers_are_missed_most_where_mail_lies_about(
    settings: Settings, workers: list[str] | Exception, overdue: bool, mark: Mark, words: str
) -> None:
    if overdue:
        with psycopg.connect(database.plain(settings.database_url)) as connection:
            connection.execute(
                "insert into mails (id, kind, recipient, on_uncertain, nudge_at, expires_at) values"
                " (%s, 'confirm_sign_up', 'alice@example.org', 'resend', now() - interval '2 min', now())",
                (new_id(),),
            )
    found = one(examine.examine(settings, entrypoints(workers)), "workers")
    assert found.mark is mark
    assert words in found.words


def test_a_call_that_never_ends_holds_up_neither_the_checks_nor_the_exit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "PATIENCE", 0.5)
    forever = threading.Event()
    stuck = entrypoints([])
    stuck = replace(stuck, workers=lambda _: {"": [str(forever.wait())]})
    began = time.monotonic()
    found = one(examine.examine(settings, stuck), "workers")
    assert found.mark is Mark.BROKEN
    assert "no answer within" in found.words
    assert time.monotonic() - began < 5
    with contextlib.suppress(RuntimeError):
        forever.set()


def one_answers(settings: Settings) -> bool:
    (names,) = worker_names(settings).values()
    return len(names) == 1


def test_a_running_worker_answers(settings: Settings, environment: dict[str, str], tmp_path: Path) -> None:
    place = redis_place(settings.broker)
    assert worker_names(settings) == {place: []}
    two = settings.model_copy(update={"broker_url": f"redis://127.0.0.1:9;{settings.redis_url}"})
    with running("worker", ["mailroom", "worker"], environment, tmp_path) as worker:
        worker.wait_for(" ready.")
        for asked in (settings, two):
            # A loaded machine may take longer than the doctor waits.
            wait_for(partial(one_answers, asked), what="the worker's answer")
    with pytest.raises(OperationalError):
        worker_names(settings.model_copy(update={"broker_url": "redis://127.0.0.1:9"}))


def test_workers_that_listen_where_nobody_publishes_are_found(settings: Settings) -> None:
    split = replace(entrypoints([]), workers=lambda _: {"first:6379/0": [], "second:6379/0": ["a@host"]})
    good, found = (finding for finding in examine.examine(settings, split) if finding.check == "workers")
    assert (good.mark, found.mark) == (Mark.GOOD, Mark.WARNING)
    assert "no worker listens at first:6379/0" in found.words
