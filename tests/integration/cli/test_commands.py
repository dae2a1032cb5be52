"""The shell, as Olga the operator uses it, against a real PostgreSQL and Valkey.

A process of its own (`process`) where that is the point, else click's runner (`shell`), which is far faster.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
import redis
from click.testing import CliRunner
from sqlalchemy import select, text

from mailroom.accounts.models import Account
from mailroom.bootstrap.services import create_services
from mailroom.bootstrap.shell import create_commands
from mailroom.kit import clock
from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.ops import startup
from mailroom.ops.embedded.plan import Plan
from mailroom.services import Services
from mailroom.tasks.runs import TaskRuns
from mailroom.tasks.states import Outcome, TaskState
from tests.conftest import ROOT, settings_of

ALICE, OLGA = "alice@example.org", "olga@example.org"


@dataclass(frozen=True)
class Run:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


Shell = Callable[..., Run]


@pytest.fixture
def process(environment: dict[str, str], tmp_path: Path) -> Shell:
    """Run `mailroom …` in an empty folder; `without` leaves variables out."""

    def run(*arguments: str, without: tuple[str, ...] = (), **changes: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "mailroom", *arguments],
            env={name: value for name, value in {**environment, **changes}.items() if name not in without},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """The same by click's runner, in this process."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(*arguments: str, without: tuple[str, ...] = (), **changes: str) -> Run:
        told = {name: value for name, value in {**environment, **changes}.items() if name not in without}
        done = CliRunner().invoke(create_commands(), arguments, env=told, prog_name="mailroom")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Run(done.exit_code, done.stdout, done.stderr)

    yield run
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def with_services(environment: dict[str, str], work: Callable[[Services, UnitOfWork], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        services = create_services(settings_of(environment), lambda _ids: None, lambda *_: None, name="test")
        try:
            async with services.database.begin() as unit:
                return await work(services, unit)
        finally:
            await services.database.close()

    return asyncio.run(run())


@pytest.fixture
def put(environment: dict[str, str]) -> Callable[..., UUID]:
    """Queue a mail, and set columns of its row as if it had gone some way."""

    def put(to: str = ALICE, **columns: object) -> UUID:
        async def work(services: Services, unit: UnitOfWork) -> UUID:
            return await services.outbox.put(unit, "confirm_sign_up", to, {"sign_up": str(new_id())})

        mail_id: UUID = with_services(environment, work)
        with psycopg.connect(environment["DATABASE_URL"]) as connection:
            for name, value in columns.items():
                connection.execute(f"update mails set {name} = %s where id = %s", (value, mail_id))
        return mail_id

    return put


@pytest.fixture
def state(environment: dict[str, str]) -> Callable[[UUID], str]:
    def state(mail_id: UUID) -> str:
        with psycopg.connect(environment["DATABASE_URL"]) as connection:
            row = connection.execute("select state from mails where id = %s", (mail_id,)).fetchone()
        assert row
        return str(row[0])

    return state


def no_traceback(run: Run) -> None:
    assert "Traceback" not in run.stderr + run.stdout


# -- bad settings behind doors that are not ours


@pytest.mark.parametrize("command", ["celery -A mailroom.worker report", "alembic upgrade head"])
def test_celery_and_alembic_say_what_is_wrong_with_the_settings(
    command: str, environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        env={**environment, "SECRET_KEY": "short"},
        cwd=ROOT if command.startswith("alembic") else tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == startup.BAD_SETTINGS
    assert "SECRET_KEY must have 32" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


# -- explaining itself


def test_a_bare_mailroom_explains_itself_and_needs_no_settings(process: Shell) -> None:
    run = process(without=("DATABASE_URL", "REDIS_URL", "SMTP_URL", "SECRET_KEY"))
    assert run.returncode == 0
    for command in ("up", "web", "worker", "doctor", "mails", "show", "retry", "cancel", "operator"):
        assert f"\n  {command} " in run.stdout
    assert "inbox" not in run.stdout
    assert "mailroom up" in run.stdout


def test_listing_mails_loads_neither_quart_nor_a_worker(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys; from mailroom.bootstrap.shell import create_commands; "
        "create_commands()(['mails'], standalone_mode=False); "
        "unused = {'quart', 'hypercorn', 'aiosmtpd', 'mailroom.jobs.worker', 'webauthn', 'httpcore', 'rich'}; "
        "print(sorted(unused & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "[]"


# -- settings


@pytest.mark.parametrize("command", ["web", "worker"])
def test_a_bad_setting_stops_a_command_with_one_sentence_for_each_problem(process: Shell, command: str) -> None:
    run = process(command, SECRET_KEY="short", PUBLIC_URL="mailroom", without=("REDIS_URL",))
    assert run.returncode == 2
    no_traceback(run)
    assert "SECRET_KEY must have 32 random characters" in run.stderr
    assert "PUBLIC_URL must be scheme and host" in run.stderr
    assert "REDIS_URL is not set" in run.stderr
    assert "there is no .env in" in run.stderr
    assert "short" not in run.stderr


def test_it_is_said_which_env_file_was_read(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PUBLIC_URL=mailroom\n")
    run = shell("mails", without=("PUBLIC_URL",))
    assert run.returncode == 2
    assert str(tmp_path / ".env") in run.stderr


def test_settings_come_from_the_env_file_too(shell: Shell, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / ".env").write_text(f"DATABASE_URL={environment['DATABASE_URL']}\n")
    assert shell("mails", without=("DATABASE_URL",)).returncode == 0


def test_a_database_that_is_away_is_a_sentence(process: Shell) -> None:
    run = process("mails", DATABASE_URL="postgresql://mailroom:hidden-word@127.0.0.1:9/mailroom")
    assert run.returncode == 1
    no_traceback(run)
    assert "database cannot be reached" in run.stderr
    assert "mailroom doctor" in run.stderr
    assert "hidden-word" not in run.stderr


@pytest.mark.spoils_its_database
def test_a_database_without_tables_is_a_sentence(shell: Shell, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("drop schema public cascade; create schema public")
    run = shell("mails")
    assert run.returncode == 1
    no_traceback(run)
    assert "mailroom migrate" in run.stderr


# -- mails


def test_mails_in_a_pipe_are_plain_lines_newest_first(shell: Shell, put: Callable[..., UUID]) -> None:
    first, second = put(), put("bob@example.org", state="failed", reason="refused", code=550, enhanced="5.1.1")
    lines = shell("mails").stdout.splitlines()
    assert lines[0].split("\t")[:4] == ["id", "kind", "to", "state"]
    assert [line.split("\t")[0] for line in lines[1:]] == [str(second), str(first)]
    assert lines[1].split("\t")[2:4] == ["bob@example.org", "failed"]
    assert "refused 550 5.1.1" in lines[1]
    assert "\033" not in "".join(lines)


def test_mails_of_one_state_and_no_more_than_asked_for(shell: Shell, put: Callable[..., UUID]) -> None:
    put()
    failed = [put(state="failed") for _ in range(3)]
    run = shell("mails", "--state", "failed", "--limit", "2", "--json")
    assert [mail["id"] for mail in json.loads(run.stdout)] == [str(failed[2]), str(failed[1])]
    assert shell("mails", "--state", "lost").returncode == 2
    assert "The newest 2 of 3" in shell("mails", "--state", "failed", "--limit", "2").stderr


def test_mails_to_an_address_or_domain_and_since_a_moment(shell: Shell, put: Callable[..., UUID]) -> None:
    now = datetime.now(UTC)
    old = put("bob@example.org", created_at=now - timedelta(days=3))
    hour = put("Bob@example.org", created_at=now - timedelta(minutes=50))
    new = put("alice@example.net")

    def ids(*options: str) -> list[str]:
        return [mail["id"] for mail in json.loads(shell("mails", "--json", *options).stdout)]

    assert ids("--to", "bob@EXAMPLE.org") == [str(hour), str(old)]
    assert ids("--to", "@example.org") == [str(hour), str(old)]
    assert ids("--to", "@example") == ids("--to", "bob@example.org%") == []
    assert ids("--since", "1h") == ids("--since", "60min") == [str(new), str(hour)]
    assert ids("--since", "2d", "--to", "@example.org", "--state", "queued") == [str(hour)]
    assert ids("--since", f"{now - timedelta(days=4):%Y-%m-%d}") == [str(new), str(hour), str(old)]
    assert "The newest 1 of 2" in shell("mails", "--to", "@example.org", "--limit", "1").stderr
    assert "No mail matches." in shell("mails", "--to", "nobody@example.org").stderr
    wrong = shell("mails", "--since", "yesterday")
    assert wrong.returncode == 2
    assert "'yesterday' is not a time. Write 30min, 2h, 7d, or a date" in wrong.stderr


def test_no_mails_is_said(shell: Shell) -> None:
    assert "There are no mails yet." in shell("mails").stderr
    assert "No mail is in the state “failed”." in shell("mails", "--state", "failed").stderr


def test_mails_as_json_tell_no_secret(shell: Shell, put: Callable[..., UUID]) -> None:
    put()
    (mail,) = json.loads(shell("mails", "--json").stdout)
    assert mail["to"] == ALICE
    assert mail["state"] == "queued"
    assert not {"nonce", "params"} & mail.keys()


def test_on_a_terminal_ids_are_whole_and_an_address_cannot_command_it(
    put: Callable[..., UUID], environment: dict[str, str], tmp_path: Path
) -> None:
    mail_id = put("\033]0;mallory\007@example.org", state="failed")
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mailroom", "mails"],
        env={**environment, "TERM": "xterm", "COLUMNS": "100"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # Linux tells the end of a terminal so
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert process.wait(30) == 0
    assert str(mail_id).encode() in shown
    assert b"\033[31mfailed" in shown
    assert b"\033]0;" not in shown


def test_show_gives_the_attempts_and_the_servers_own_words(
    shell: Shell, put: Callable[..., UUID], environment: dict[str, str]
) -> None:
    mail_id = put(
        state="retrying",
        attempt=1,
        reason="deferred",
        code=451,
        enhanced="4.7.1",
        answer="4.7.1 greylisted \033[2J",
    )
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        connection.execute(
            "insert into attempts (mail_id, attempt, worker, server, connected_at, ended_at, outcome, reason,"
            " code, enhanced, answer) values (%s, 1, 'host:71', 'smtp.example:25', now(), now() + interval '2 s',"
            " 'retrying', 'deferred', 451, '4.7.1', '4.7.1 greylisted')",
            (mail_id,),
        )
    text = shell("show", str(mail_id)).stdout
    for words in (ALICE, "retrying", "asked to try again later", "Attempt 1 by host:71 through smtp.example:25"):
        assert words in text
    assert text.count("451 4.7.1 greylisted") == 2
    assert "\033[2J" not in text
    assert [word for word in ("claimed", "connected", "retrying (deferred)") if word in text] == [
        "claimed",
        "connected",
        "retrying (deferred)",
    ]
    told = json.loads(shell("show", str(mail_id), "--json").stdout)
    assert told["attempts"][0]["answer"] == "4.7.1 greylisted"
    assert told["code"] == 451


def test_an_id_that_is_none_and_one_that_nobody_has_are_sentences(shell: Shell) -> None:
    wrong = shell("show", "42")
    assert wrong.returncode == 2
    assert "'42' is not the id of a mail or task" in wrong.stderr
    nobody = shell("show", str(new_id()))
    assert nobody.returncode == 1
    assert "There is no mail or task with this id." in nobody.stderr
    no_traceback(nobody)


def test_an_id_may_be_shortened_to_what_is_unique(shell: Shell, put: Callable[..., UUID]) -> None:
    first, second = put(), put("bob@example.org", state="failed", nudge_at=None)
    digits = zip(first.hex, second.hex, strict=True)
    same = first.hex[: next(n for n, (one, other) in enumerate(digits) if one != other)]
    for given in (first.hex[: len(same) + 1], first.hex[:26].upper(), str(first)):
        assert f"Mail {first}" in shell("show", given).stdout
    several = shell("show", same)
    assert several.returncode == 1
    assert f"Several ids begin like this: {first}, {second}." in several.stderr
    assert shell("retry", second.hex[:30]).stdout == f"{second} queued again\n"
    several = shell("cancel", same)
    assert several.returncode == 1
    assert "Give more of the id." in several.stderr


# -- retry and cancel


def test_retry_queues_what_can_be_and_says_why_the_others_cannot(
    process: Shell, put: Callable[..., UUID], state: Callable[[UUID], str], redis_url: str
) -> None:
    failed, sent, nobody = put(state="failed", nudge_at=None), put(state="sent", nudge_at=None), new_id()
    run = process("retry", str(failed), str(sent), str(nobody))
    assert run.returncode == 1
    assert run.stdout == f"{failed} queued again\n"
    assert f"{sent}: The state of this mail is “sent”" in run.stderr
    assert f"{nobody}: There is no mail or task with this id." in run.stderr
    assert (state(failed), state(sent)) == ("queued", "sent")
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen("transactional") == 1  # the command waited until its message was out


def test_retry_with_redis_away_is_no_trouble_since_the_sweep_makes_up(
    process: Shell, put: Callable[..., UUID], state: Callable[[UUID], str]
) -> None:
    failed = put(state="failed", nudge_at=None)
    run = process("retry", str(failed), REDIS_URL="redis://127.0.0.1:9/0")
    assert run.returncode == 0
    assert state(failed) == "queued"
    assert "the sweep publishes later" in run.stderr
    no_traceback(run)


def test_retrying_a_whole_state_asks_first(
    shell: Shell, put: Callable[..., UUID], state: Callable[[UUID], str]
) -> None:
    failed = [put(state="failed", nudge_at=None) for _ in range(3)]
    refused = shell("retry", "--state", "failed")
    assert refused.returncode == 2
    assert "Send 3 mails in the state “failed” again?" in refused.stderr
    assert "--yes" in refused.stderr
    assert {state(mail) for mail in failed} == {"failed"}
    assert shell("retry", "--state", "failed", "--yes").returncode == 0
    assert {state(mail) for mail in failed} == {"queued"}
    acts = json.loads(shell("audit", "--json").stdout)
    assert sorted((act["action"], act["target_id"]) for act in acts) == sorted(
        ("mail.retried", str(mail)) for mail in failed
    )
    nothing = shell("retry", "--state", "failed", "--yes")
    assert nothing.returncode == 0
    assert "No mail is in the state “failed”." in nothing.stderr


def test_retry_wants_ids_or_a_state_and_never_both(shell: Shell) -> None:
    assert shell("retry").returncode == 2
    assert shell("retry", str(new_id()), "--state", "failed").returncode == 2
    assert shell("cancel", "--state", "sent").returncode == 2


def test_cancel_gives_up_a_queued_mail(
    shell: Shell, put: Callable[..., UUID], state: Callable[[UUID], str]
) -> None:
    queued, sending = put(), put(state="sending")
    run = shell("cancel", str(queued), str(sending))
    assert run.returncode == 1
    assert run.stdout == f"{queued} cancelled\n"
    assert "The state of this mail is “sending”" in run.stderr
    assert (state(queued), state(sending)) == ("cancelled", "sending")


def test_a_task_that_is_no_mail_is_shown_cancelled_and_begun_again_too(
    shell: Shell, environment: dict[str, str]
) -> None:
    async def start(services: Services, unit: UnitOfWork) -> tuple[UUID, UUID]:
        alone = await services.task_service.start(unit, "count", 3, title="A \033[31mcount")
        parts = [("count", [1]), ("count", [2])]
        return alone, await services.task_service.start_group(unit, parts, title="Many counts")

    async def run(services: Services, _unit: UnitOfWork) -> None:
        runs = TaskRuns(services.database)
        begun = await runs.begin(alone, cancellable=True, again=False)
        if failing:
            ending = Outcome(TaskState.FAILED, current=2, total=3, error="too dark", traceback="Traceback: dark")
            await runs.end(begun, ending)  # type: ignore[arg-type]

    alone, several = with_services(environment, start)
    listed = shell("tasks").stdout
    assert [line.split("\t")[0] for line in listed.splitlines()] == ["id", str(several), str(alone)]
    assert "A \\x1b[31mcount" in listed and "\033" not in listed
    assert len(json.loads(shell("tasks", "--parts", "--json").stdout)) == 4
    assert "No task matches." in shell("tasks", "--state", "failed", "--since", "1h").stderr
    assert "The newest 1 of 2" in shell("tasks", "--limit", "1").stderr
    shown = shell("show", str(alone))
    assert "State   queued" in shown.stdout and "\033" not in shown.stdout
    assert shell("cancel", str(alone)).stdout == f"{alone} cancelled\n"
    assert shell("retry", str(alone)).stdout == f"{alone} queued again\n"
    failing = False
    with_services(environment, run)
    assert shell("cancel", str(alone)).stdout == f"{alone} asked to stop\n"
    assert "running (asked to stop)" in shell("show", str(alone)).stdout
    assert "only a task" in shell("retry", str(alone)).stderr.lower()

    assert shell("cancel", str(several)).stdout == f"{several} cancelled\n"
    assert shell("show", str(several)).stdout.count("cancelled") == 3
    assert [part["state"] for part in json.loads(shell("show", str(several), "--json").stdout)["parts"]] == [
        "cancelled",
        "cancelled",
    ]
    failing, alone = True, with_services(environment, start)[0]
    with_services(environment, run)
    text = shell("show", str(alone)).stdout
    for words in ("State   failed", "2 of 3", "too dark", "Traceback: dark"):
        assert words in text


# -- operators


def test_operators_are_granted_listed_and_revoked(shell: Shell, environment: dict[str, str]) -> None:
    async def olga(_services: Services, unit: UnitOfWork) -> None:
        unit.session.add(Account(id=new_id(), email="Olga@example.org", email_key=OLGA, password_hash="-"))

    with_services(environment, olga)
    assert "There is no operator yet" in shell("operator", "list").stderr
    assert shell("operator", "grant", OLGA).stdout == "Olga@example.org is an operator now.\n"
    assert shell("operator", "list").stdout == "Olga@example.org\n"
    assert shell("operator", "grant", OLGA, "--role", "viewer").stdout == "Olga@example.org is a viewer now.\n"
    assert shell("operator", "list").stdout == "Olga@example.org  viewer\n"
    assert shell("operator", "revoke", OLGA).returncode == 0
    assert shell("operator", "list").stdout == ""

    async def logged(services: Services, unit: UnitOfWork) -> list[tuple[str, str, object]]:
        entries = await services.audit_log.entries(unit)
        return [(entry.actor, entry.action, entry.details.get("role")) for entry in entries]

    assert with_services(environment, logged) == [
        ("shell", "role.revoked", None),
        ("shell", "role.granted", "viewer"),
        ("shell", "role.granted", "operator"),
    ]


def test_granting_nobody_and_nonsense_are_sentences(shell: Shell) -> None:
    for email in ("nobody@example.org", "nonsense"):
        run = shell("operator", "grant", email)
        assert run.returncode == 1
        assert run.stderr.strip()
        no_traceback(run)


# -- accounts


def test_two_steps_are_turned_off_for_who_has_lost_everything(shell: Shell, environment: dict[str, str]) -> None:
    async def alice(_services: Services, unit: UnitOfWork) -> None:
        unit.session.add(
            Account(
                id=new_id(), email="Alice@example.org", email_key=ALICE, password_hash="-", two_step_at=clock.now()
            )
        )

    with_services(environment, alice)
    off = shell("accounts", "two-step-off", ALICE)
    assert off.stdout == "Alice@example.org signs in with one step now. A mail tells its owner.\n"
    assert shell("accounts", "two-step-off", "nobody@example.org").returncode == 1

    async def after(services: Services, unit: UnitOfWork) -> tuple[object, list[str]]:
        left = await unit.session.scalar(select(Account.two_step_at).where(Account.email_key == ALICE))
        return left, [entry.action for entry in await services.audit_log.entries(unit)]

    assert with_services(environment, after) == (None, ["two_step.off"])


def test_an_account_is_deleted_in_a_week_and_kept_after_all(shell: Shell, environment: dict[str, str]) -> None:
    async def alice(_services: Services, unit: UnitOfWork) -> None:
        unit.session.add(Account(id=new_id(), email="Alice@example.org", email_key=ALICE, password_hash="-"))

    with_services(environment, alice)
    asked = shell("accounts", "delete", ALICE)
    assert asked.returncode == 0, asked.stderr
    assert f"Until then: mailroom accounts undo {ALICE}" in asked.stdout
    assert shell("accounts", "undo", ALICE).stdout == f"The account of {ALICE} stays.\n"
    assert shell("accounts", "delete", ALICE).returncode == 0

    async def a_week_later(services: Services, unit: UnitOfWork) -> None:
        await unit.write("update accounts set deletes_at = now()", {})
        await unit.session.commit()
        await services.erasure.clean_up()

    async def logged(services: Services, unit: UnitOfWork) -> list[tuple[str, str]]:
        return [(entry.actor, entry.action) for entry in await services.audit_log.entries(unit)]

    with_services(environment, a_week_later)
    asked, undone = ("shell", "account.deletion_asked"), ("shell", "account.deletion_undone")
    assert with_services(environment, logged) == [asked, undone, asked]
    for name in ("delete", "undo"):
        gone = shell("accounts", name, ALICE)
        assert gone.returncode == 1
        no_traceback(gone)
    assert "An account of this address was deleted on 20" in shell("accounts", "delete", ALICE).stderr
    assert "There is no account with this address" in shell("accounts", "delete", "bob@example.org").stderr


# -- the embedded stack in another window


@pytest.fixture
def stack(environment: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """What a running `mailroom up` leaves in its folder: the lock it holds, and its environment."""
    home = tmp_path / ".mailroom"
    home.mkdir()
    with (home / "lock").open("w") as lock:
        lock.write("1\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        exports = Plan.exports(cast("Plan", None), environment)  # as `up` writes them; it needs no plan for it
        (home / "environment").write_text(exports)
        yield home


SERVERS = ("DATABASE_URL", "REDIS_URL", "SMTP_URL", "MAIL_FROM", "PUBLIC_URL", "SECRET_KEY")


def test_a_second_window_finds_the_running_stack_and_says_so(
    process: Shell, stack: Path, put: Callable[..., UUID]
) -> None:
    mail_id = put()
    run = process("mails", "--json", without=SERVERS)
    assert run.returncode == 0, run.stderr
    assert [mail["id"] for mail in json.loads(run.stdout)] == [str(mail_id)]
    assert run.stderr == "Using the embedded stack in .mailroom.\n"


def test_a_stack_that_has_stopped_is_not_used(process: Shell, stack: Path) -> None:
    (stack / "lock").rename(stack / "old")
    (stack / "lock").touch()
    run = process("mails", without=SERVERS)
    assert run.returncode == 2
    assert "DATABASE_URL is not set" in run.stderr


def test_a_stack_that_is_only_starting_is_not_mistaken_for_the_one_before(process: Shell, stack: Path) -> None:
    os.utime(stack / "environment", (1, 1))
    assert process("mails", without=SERVERS).returncode == 2


def test_settings_of_two_places_never_mix(process: Shell, stack: Path) -> None:
    elsewhere = "postgresql://mailroom:word@127.0.0.1:9/another"
    run = process("mails", DATABASE_URL=elsewhere, without=tuple(set(SERVERS) - {"DATABASE_URL"}))
    assert run.returncode == 2
    assert "Using the embedded stack" not in run.stderr
    assert "REDIS_URL is not set" in run.stderr


def test_a_key_is_told_once_on_the_last_line_and_revoked_by_its_first_characters(
    shell: Shell, environment: dict[str, str]
) -> None:
    made = shell("keys", "create", "shop", "--scope", "sending", "--domain", "Bücher.example", "--per-day", "10")
    secret = made.stdout.splitlines()[-1]
    assert made.returncode == 0 and secret.startswith("mr_")
    listed = shell("keys", "list").stdout
    assert secret not in listed and secret[:9] in listed and "xn--bcher-kva.example" in listed
    assert shell("keys", "revoke", secret[:9]).returncode == 0
    assert shell("keys", "list").stdout == "" and "revoked" in shell("keys", "list", "--all").stdout
    assert shell("keys", "revoke", secret[:9]).returncode == 1
    assert "example.org" in shell("keys", "create", "shop", "--domain", "a b").stderr

    async def acts(services: Services, unit: UnitOfWork) -> list[tuple[str, str]]:
        return [(entry.actor, entry.action) for entry in await services.audit_log.entries(unit)]

    assert with_services(environment, acts) == [("shell", "key.revoked"), ("shell", "key.created")]


def test_a_webhook_is_added_listed_and_removed(shell: Shell) -> None:
    added = shell("webhooks", "add", "https://shop.example/hooks", "--event", "email.sent")
    assert added.stdout.splitlines()[-1].startswith("whsec_")
    listed = shell("webhooks", "list").stdout
    assert "https://shop.example/hooks" in listed and "email.sent" in listed and "whsec" not in listed
    assert shell("webhooks", "add", "http://127.0.0.1/").returncode == 1
    assert shell("webhooks", "remove", listed.split()[0]).returncode == 0
    assert shell("webhooks", "list").stdout == ""


PUT_DELIVERY = """
insert into webhook_deliveries
    (id, endpoint_id, subject_id, type, payload, state, attempts, status, error, next_at)
values (:id, :endpoint, :id, 'email.sent', '{"type": "email.sent"}', 'failed', 8, 500, 'refused', null)
"""


def test_a_webhook_is_disabled_and_enabled_and_its_deliveries_are_seen_and_repeated(
    shell: Shell, environment: dict[str, str]
) -> None:
    shell("webhooks", "add", "https://shop.example/hooks", "--event", "email.sent")
    webhook, delivery = shell("webhooks", "list").stdout.split()[0], new_id()
    assert "Nothing was delivered yet." in shell("webhooks", "deliveries", webhook[:13]).stderr

    async def put(_services: Services, unit: UnitOfWork) -> None:
        await unit.session.execute(text(PUT_DELIVERY), {"id": delivery, "endpoint": webhook})

    with_services(environment, put)
    listed = shell("webhooks", "deliveries", webhook).stdout
    assert str(delivery) in listed and "500 The endpoint refused it." in listed and "failed" in listed
    assert shell("webhooks", "replay", webhook, str(delivery)).returncode == 0
    [told] = json.loads(shell("webhooks", "deliveries", webhook, "--json").stdout)
    assert (told["id"], told["state"], told["payload"]) == (str(delivery), "waiting", {"type": "email.sent"})
    assert shell("webhooks", "replay", webhook, str(new_id())).returncode == 1
    assert "disabled" in shell("webhooks", "disable", webhook).stdout
    assert "Somebody disabled it." in shell("webhooks", "deliveries", webhook).stderr
    assert "by hand" in shell("webhooks", "list").stdout
    assert shell("webhooks", "enable", webhook).returncode == 0
    assert "enabled" in shell("webhooks", "list").stdout
    acts = [act["action"] for act in json.loads(shell("audit", "--json").stdout)]
    assert acts == ["webhook.changed", "webhook.changed", "webhook.replayed", "webhook.created"]
