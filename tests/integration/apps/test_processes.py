"""What each process does with apps: it loads what it needs, migrates all, and says what is broken."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from mailroom.ops.embedded.postgres import Postgres
from tests.conftest import database_on

WORKER = """
import sys
import mailroom.__main__
from mailroom.bootstrap.worker import create_worker
from mailroom.jobs.worker import work
app = create_worker()
assert "csv_import.read" in app.tasks, sorted(app.tasks)
assert "csv_import.tasks" in sys.modules
unused = ("quart", "hypercorn", "webauthn", "httpcore", "rich", "lxml", "csv_import.web", "hello_world.web")
print([name for name in unused if name in sys.modules])
"""
REVISIONS = "select version_num from alembic_version order by 1"


def run(environment: dict[str, str], *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env={**environment, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def mailroom(environment: dict[str, str], *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return run(environment, "-m", "mailroom", *command, **more)


def test_a_worker_has_the_tasks_of_apps_and_loads_nothing_that_it_does_not_use(with_apps: dict[str, str]) -> None:
    done = run(with_apps, "-W", "ignore", "-c", WORKER)
    assert done.stdout.strip() == "[]", done.stderr


def test_migrate_brings_every_branch_to_its_head_and_commands_of_apps_run(
    postgres: Postgres, with_apps: dict[str, str]
) -> None:
    def revisions() -> Sequence[str]:
        with psycopg.connect(url) as connection:
            return [row[0] for row in connection.execute(REVISIONS).fetchall()]

    with database_on(postgres, "of_apps") as url:
        before = revisions()
        done = mailroom(with_apps, "migrate", DATABASE_URL=url)
        assert "migrated to c5f0a1b2d3e4" in done.stdout, done.stderr
        assert revisions() == sorted([*before, "c5f0a1b2d3e4"])
        check = mailroom(with_apps, "doctor", DATABASE_URL=url)
        assert "at head (" in check.stdout
        counted = mailroom(with_apps, "csv-imports", DATABASE_URL=url)
        assert counted.stdout == "0 files, 0 contacts\n", counted.stderr
        assert "csv-imports" in mailroom(with_apps, "--help").stdout

        with_apps_gone = {**with_apps, "PYTHONPATH": with_apps["PYTHONPATH"].rpartition(":")[2]}
        gone = mailroom(with_apps_gone, "migrate", DATABASE_URL=url)
        assert gone.returncode == 2
        assert "an app that is not installed" in gone.stderr
        assert "c5f0a1b2d3e4" in gone.stderr
        assert "Traceback" not in gone.stderr


@pytest.mark.parametrize("command", [("migrate",), ("web",), ("worker", "--one"), ("what-is-this",)])
def test_a_missing_app_is_a_sentence_with_exit_code_2(
    environment: dict[str, str], command: tuple[str, ...]
) -> None:
    done = mailroom(environment, *command, MAILROOM_APPS="acme_not_here")
    assert done.returncode == 2, done.stderr
    assert "there is no module acme_not_here" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doors_of_other_programs_say_it_too(environment: dict[str, str]) -> None:
    for door in ("mailroom.asgi", "mailroom.worker"):
        done = run(environment, "-c", f"import {door}", MAILROOM_APPS="acme_not_here")
        assert done.returncode == 2, done.stderr
        assert "there is no module acme_not_here" in done.stderr


MODELS = """
from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column
from mailroom.api import Base
class Greeting(Base):
    __tablename__ = "sketch_greetings"
    whom: Mapped[str] = mapped_column(Text, primary_key=True)
"""


def test_a_developer_is_written_migrations_from_the_models_of_an_app(
    postgres: Postgres, environment: dict[str, str], tmp_path: Path
) -> None:
    package = tmp_path / "sketch"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from mailroom.api import App\napp = App('sketch', models='sketch.models')"
    )
    (package / "models.py").write_text(MODELS)
    with database_on(postgres, "of_migrations") as url:
        told = {"DATABASE_URL": url, "MAILROOM_APPS": "sketch"}
        told["PYTHONPATH"] = f"{tmp_path}:{environment['PYTHONPATH']}"
        first = mailroom(environment, "new-migration", "sketch", "the first table", **told)
        written = Path(first.stdout.splitlines()[-1]).read_text()
        assert "op.create_table('sketch_greetings'" in written
        assert "branch_labels = ('sketch',)" in written
        assert "accounts" not in written
        assert "drop" not in written.partition("def downgrade")[0]
        assert mailroom(environment, "migrate", **told).returncode == 0
        (package / "models.py").write_text(MODELS + "    by: Mapped[str | None] = mapped_column(Text)\n")
        second = mailroom(environment, "new-migration", "sketch", "who greeted", **told)
        assert "op.add_column('sketch_greetings'" in Path(second.stdout.splitlines()[-1]).read_text()
        assert mailroom(environment, "migrate", "sketch@base", **told).returncode == 0
        with psycopg.connect(url) as connection:
            assert connection.execute("select to_regclass('sketch_greetings')").fetchone() == (None,)
