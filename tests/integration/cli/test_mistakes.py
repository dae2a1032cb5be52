"""Mistakes that people make with settings and machines: a sentence and exit code 2, never a traceback."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Start = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Start:
    """Run `mailroom …` in an empty folder, to its end."""

    def start(
        *command: str, before: tuple[str, ...] = (), cwd: Path = tmp_path, **changes: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*before, sys.executable, "-m", "mailroom", *command],
            env={**environment, **changes},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return start


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_port_that_is_taken(start: Start, processes: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = start("web", PORT=str(port), WEB_CONCURRENCY=processes)
    assert run.returncode == 2
    assert f"PORT {port} is in use at 127.0.0.1" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("host", ["192.0.2.1", "nobody.invalid"])
def test_an_address_that_is_not_ours(start: Start, host: str) -> None:
    run = start("web", HOST=host)
    assert run.returncode == 2
    assert f"HOST {host} is not an address of this machine" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without rights")
def test_a_port_that_only_root_may_have(start: Start) -> None:
    if Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text().strip() != "1024":
        pytest.skip("this machine lets everybody have every port")
    ordinary = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    readable = start(before=ordinary, cwd=Path("/"))
    if readable.returncode:
        pytest.skip("the program is not readable for others here")
    run = start("web", before=ordinary, cwd=Path("/"), PORT="80")
    assert run.returncode == 2
    assert "PORT 80 needs rights that this user does not have" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("command", ["web", "worker", "mails", "doctor"])
def test_an_env_file_that_is_no_utf_8(start: Start, tmp_path: Path, command: str) -> None:
    (tmp_path / ".env").write_bytes("MAIL_FROM=Bücher <hello@mailroom.example>\n".encode("latin-1"))
    run = start(command)
    assert run.returncode == 2
    assert ".env is not UTF-8: line 1" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr
