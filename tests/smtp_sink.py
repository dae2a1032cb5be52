"""Postfix's smtp-sink as a mail server that somebody else wrote; with `-W` its pipelining is broken."""

import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import geteuid
from pathlib import Path

import pytest

from mailroom.ops.embedded.ports import free_port
from tests.sink import wait_for


@contextmanager
def smtp_sink(folder: Path, *options: str) -> Iterator[str]:
    """Run it with these options; lend its SMTP_URL. What it takes is in `folder`, a file for each connection."""
    if shutil.which("smtp-sink") is None:
        pytest.skip("needs Postfix's smtp-sink")
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)  # it gives up root's rights
    port, user = free_port(), ["-u", pwd.getpwnam("nobody").pw_name] if geteuid() == 0 else []
    command = ["smtp-sink", *user, "-R", str(folder), "-d", "mail.", *options, f"127.0.0.1:{port}", "100"]
    process = subprocess.Popen(command)
    try:
        wait_for(lambda: _answers(port), 5, "smtp-sink listens")
        yield f"smtp://127.0.0.1:{port}?starttls=never"
    finally:
        process.kill()
        process.wait(5)


def _answers(port: int) -> bool:
    import socket

    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
