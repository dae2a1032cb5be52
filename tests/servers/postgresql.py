"""PostgreSQL as Debian packs it, in a folder of its own. Its role `mailroom` is a superuser."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from mailroom.ops.embedded.ports import free_port
from tests.servers.conftest import running
from tests.sink import wait_for

PASSWORD = "a-password-for-tests"
CONFIG = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
"""


class DebianPostgres:
    """A database cluster; `start` runs it."""

    def __init__(self, folder: Path) -> None:
        places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        if not places:
            pytest.skip("postgresql is not installed (Debian packs it)")
        self.programs, self.folder = places[-1], folder
        self.data, self.port = folder / "data", free_port()
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    @property
    def url(self) -> str:
        return f"postgresql://mailroom:{PASSWORD}@127.0.0.1:{self.port}/mailroom"

    def run(self, program: str, *words: object) -> None:
        """Run one of its programs as its user."""
        subprocess.run(
            [self.programs / program, *words], user=self.user, check=True, capture_output=True, cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C", "PGPASSWORD": PASSWORD},
        )  # fmt: skip

    def make(
        self, *options: str, access: str = "host all,replication mailroom 127.0.0.1/32 scram-sha-256"
    ) -> None:
        """Make the cluster, with lines for its configuration."""
        self.write(self.folder / "password", PASSWORD)
        ways = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={self.folder / 'password'}"]
        self.run("initdb", "-D", self.data, "-U", "mailroom", *ways)
        self.write(self.data / "postgresql.conf", "\n".join([CONFIG.format(port=self.port), *options, ""]))
        self.write(self.data / "pg_hba.conf", access + "\n")

    def write(self, path: Path, content: str | bytes) -> None:
        """Write a file that belongs to the server's user."""
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o600)
        shutil.chown(path, self.user)

    @contextmanager
    def start(self, *, sslmode: str = "disable") -> Iterator[None]:
        """Run it for the length of the block; makes the database `mailroom` where it is missing."""
        command: Sequence[object] = [self.programs / "postgres", "-D", self.data]
        if os.geteuid() == 0:
            command = ["runuser", "-u", self.user, "--", *command]
        with running([str(word) for word in command], self.folder, self.port):
            wait_for(lambda: self._is_ready(sslmode), what="PostgreSQL lets us in")
            yield

    def _is_ready(self, sslmode: str) -> bool:
        try:
            with psycopg.connect(self.url, dbname="postgres", sslmode=sslmode, autocommit=True) as connection:
                connection.execute("create database mailroom")
        except psycopg.errors.DuplicateDatabase:
            return True
        except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction):
            return False  # it starts, or recovers
        return True


@contextmanager
def debian_postgres() -> Iterator[DebianPostgres]:
    """Lend a folder for a PostgreSQL that its user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="mailroom-postgres-"))
    try:
        server = DebianPostgres(folder)
        shutil.chown(folder, server.user)
        yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
