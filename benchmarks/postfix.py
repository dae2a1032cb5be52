"""Debian's Postfix in a folder of its own, as the measure for taking in and relaying mails."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mailroom.ops.embedded.ports import free_port

TOOLS = ("postfix", "smtp-source", "smtp-sink")
IS_THERE = all(map(shutil.which, TOOLS))


@contextmanager
def postfix(folder: Path, relay_to: int) -> Iterator[int]:
    """Run Postfix, which relays to this port of the machine; yield its own. It, too, stores before its 250."""
    port = free_port()
    settings, queue, data = folder / "etc", folder / "queue", folder / "data"
    for place in (settings, queue, data):
        place.mkdir(parents=True)
    folder.parent.chmod(0o755)
    shutil.chown(data, "postfix")
    files = Path("/etc/postfix/postfix-files")
    if files.exists():
        shutil.copy(files, settings)
    lines = [
        f"127.0.0.1:{port} inet n - n - - smtpd" if line.startswith("smtp      inet") else line
        for line in Path("/usr/share/postfix/master.cf.dist").read_text().splitlines()
    ]
    (settings / "master.cf").write_text("\n".join(line.replace("  y  ", "  n  ") for line in lines) + "\n")
    (settings / "main.cf").write_text(
        f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {folder}/log
maillog_file_prefixes = /var, /dev/stdout, {folder}, /tmp
mydestination =
relayhost = [127.0.0.1]:{relay_to}
disable_dns_lookups = yes
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
"""
    )
    subprocess.run(["postfix", "-c", str(settings), "start"], check=True, capture_output=True)
    try:
        until_it_greets(port)
        yield port
    finally:
        subprocess.run(["postfix", "-c", str(settings), "stop"], check=False, capture_output=True)


def source(port: int, count: int, *, sessions: int, size: int) -> None:
    """Send so many mails with `smtp-source`, over so many sessions; all of them are accepted on return."""
    command = ["smtp-source", "-s", str(sessions), "-m", str(count), "-l", str(size), "-d"]
    addresses = ["-f", "shop@example.org", "-t", "alice@example.org"]
    subprocess.run([*command, *addresses, f"inet:127.0.0.1:{port}"], check=True, capture_output=True)


def greets(port: int) -> bool:
    """Tell whether an SMTP server answers there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False


def until_it_greets(port: int) -> None:
    """Wait for an SMTP server."""
    wait_for(lambda: greets(port))


def wait_for(ready: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is ready."""
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "it did not start"
        time.sleep(0.1)
