"""What the desk does, in the shell."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from tests.integration.cli.test_commands import Shell, put, shell, state

__all__ = ["put", "shell", "state"]


def rows(environment: dict[str, str], query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def test_all_mails_of_a_search_are_counted_confirmed_and_handed_to_a_task(
    environment: dict[str, str], shell: Shell, put: Callable[..., UUID]
) -> None:
    for number in range(3):
        put(f"n{number}@example.org", state="failed")
    refused = shell("retry", "--search", "state:failed to:@example.org")
    assert refused.returncode == 2 and "Send 3 mails again? Nobody can be asked here." in refused.stderr
    done = shell("retry", "--search", "state:failed to:@example.org", "--yes")
    ticket = UUID(done.stdout.strip())
    assert f"mailroom watch {ticket}" in done.stderr
    assert rows(environment, "select action, query from bulk_actions") == [
        ("retry", "state:failed to:@example.org")
    ]
    assert rows(environment, "select name, state from tasks where name is not null") == [
        ("mailroom.change_mails", "queued")
    ]
    nothing = shell("cancel", "--search", "state:expired", "--yes")
    assert nothing.returncode == 0 and "No mail matches" in nothing.stderr
    assert shell("retry", "--search", "colour:red", "--yes").returncode == 1
    assert shell("retry", "--search", "", "--state", "failed").returncode == 2
    log = json.loads(shell("audit", "--json").stdout)
    assert [(entry["actor"], entry["action"], entry["target_id"]) for entry in log] == [
        ("shell", "mails.retry", str(ticket))
    ]
    assert "mails.retry" in shell("audit", "--action", "mails.retry").stdout


def test_sending_and_tasks_are_paused_and_go_on_and_a_worker_drains(
    environment: dict[str, str], shell: Shell, put: Callable[..., UUID]
) -> None:
    assert shell("pause").stdout == "all: paused.\n" and shell("pause").stdout == "all: paused before.\n"
    for what in ("bulk", "confirm_sign_up", "tasks"):
        assert shell("pause", what).stdout == f"{what}: paused.\n"
    found = rows(environment, "select what, name from pauses order by what")
    assert found == [("all", ""), ("kind", "confirm_sign_up"), ("stream", "bulk"), ("tasks", "")]
    unknown = shell("pause", "letters")
    assert unknown.returncode == 1 and "There is no kind “letters”." in unknown.stderr
    listed = shell("workers")
    assert "No worker runs." in listed.stderr and listed.stderr.count("Paused since") == 4
    for what in ("all", "bulk", "confirm_sign_up", "tasks"):
        assert shell("resume", what).stdout == f"{what}: resumed.\n"
    assert shell("resume").stdout == "all: not paused.\n"
    rows(
        environment,
        "insert into processes (name, role, host, pid, version, started_at) "
        "values ('host:7', 'worker', 'host', 7, '1', now()) returning 1",
    )
    assert "five seconds" in shell("workers", "drain", "host:7").stdout
    [worker] = json.loads(shell("workers", "--json").stdout)["processes"]
    assert (worker["name"], worker["wish"], worker["state"]) == ("host:7", "drain", "unknown")
    assert shell("workers", "go-on", "host:7").returncode == shell("workers", "stop", "host:7").returncode == 0
    assert shell("workers", "drain", "nobody").returncode == 1
    log = [(entry["action"]) for entry in json.loads(shell("audit", "--json").stdout)]
    assert log[:4] == ["worker.stop", "worker.resume", "worker.drain", "tasks.resumed"] and len(log) == 11


def test_failures_stand_in_groups_and_what_was_cancelled_is_counted(
    environment: dict[str, str], shell: Shell, put: Callable[..., UUID]
) -> None:
    assert "Nothing failed." in shell("failures").stderr
    for name in ("ann", "bob"):
        put(f"{name}@full.example", state="failed", code=552, enhanced="5.2.2", reason="mailbox refused")
    text = shell("failures").stdout
    assert text.splitlines()[1].startswith("2\tmailbox refused\t552 5.2.2\tfull.example\t")
    [group] = json.loads(shell("failures", "--json", "--since", "1h").stdout)["mails"]
    assert (group["states"], group["code"], group["domain"]) == ({"failed": 2}, 552, "full.example")
    waits = put("cleo@example.org")
    assert shell("cancel", str(waits)).returncode == 0
    counted = rows(environment, "select label, count from statistics where name = 'ended'")
    assert counted == [("cancelled", 1)]


def test_alerts_are_listed_silenced_and_tried_out(environment: dict[str, str], shell: Shell) -> None:
    nobody = shell("alerts")
    assert "Nothing is wrong." in nobody.stderr and "Alerts go to nobody" in nobody.stderr
    assert shell("alerts", "test").returncode == 1
    rows(
        environment,
        "insert into alerts (id, rule, began_at, fired_at, facts) values"
        " (gen_random_uuid(), 'uncertain', now() - interval '5 min', now(), '{\"held\": 3}') returning 1",
    )
    listed = shell("alerts").stdout.splitlines()
    assert listed[1].startswith("uncertain\tfiring\t5 min\t3 mails may be in the inbox or not")
    assert "for 2 hours" in shell("alerts", "silence", "uncertain", "--hours", "2").stdout
    assert shell("alerts", "silence", "rain").returncode == 2
    told = json.loads(shell("alerts", "--json").stdout)
    assert [one["rule"] for one in told["silences"]] == ["uncertain"] and told["alerts"][0]["silenced_until"]
    assert "told again" in shell("alerts", "lift", "uncertain").stdout
    assert json.loads(shell("alerts", "--json").stdout)["silences"] == []
    log = json.loads(shell("audit", "--json").stdout)
    assert [entry["action"] for entry in log] == ["alert.unsilenced", "alert.silenced", "alert.tested"]
    newest = shell("audit", "--limit", "1")
    assert f"mailroom audit --before {log[0]['number']}" in newest.stderr
    older = json.loads(shell("audit", "--json", "--before", str(log[0]["number"])).stdout)
    assert older == log[1:]


def test_queues_and_people_in_the_shell(
    environment: dict[str, str], shell: Shell, put: Callable[..., UUID]
) -> None:
    put("ann@example.org", changed_at=datetime.now(UTC) - timedelta(minutes=9, seconds=5))
    shell("pause", "bulk")
    assert shell("queues").stdout.splitlines()[1:] == [
        "transactional\t1\t0\t0\t9 min\t0\t0\t",
        "bulk\t0\t0\t0\t\t0\t0\tpaused",
    ]
    assert [one["paused"] for one in json.loads(shell("queues", "--json").stdout)] == [False, True]
    rows(
        environment,
        "insert into accounts (id, email, email_key, password_hash) values"
        " (gen_random_uuid(), 'ann@example.org', 'ann@example.org', '') returning 1",
    )
    mail = UUID(shell("accounts", "new-password", "ann@example.org").stdout.strip())
    assert rows(environment, f"select kind, recipient from mails where id = '{mail}'") == [
        ("new_password", "ann@example.org")
    ]
    assert "No sign-up waits." in shell("accounts", "sign-ups").stderr
    assert shell("accounts", "resend", "ann@example.org").returncode == 1
    assert shell("again", str(mail)).returncode == 1, "it is no other program's"
    assert shell("tasks", "--name", "nothing").stderr.strip() == "No task matches."
    log = [entry["action"] for entry in json.loads(shell("audit", "--json").stdout)]
    assert log == ["account.reset_sent", "sending.paused"]
