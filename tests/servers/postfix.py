"""Postfix in a folder of its own: it takes mails and holds them. It has to be started by root."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailroom.ops.embedded.ports import free_port
from tests.servers.conftest import Certificate, listens, program
from tests.sink import wait_for

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example
mydestination =
relayhost = [127.0.0.1]:9
disable_dns_lookups = yes
defer_transports = smtp
mynetworks = 127.0.0.0/8
smtpd_tls_cert_file = {certificate.file}
smtpd_tls_key_file = {certificate.key}
smtpd_tls_security_level = may
"""
MASTER = """\
{port} inet n - n - - smtpd
{tls_port} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """Two ports: one with STARTTLS, one with TLS from the first byte."""

    port: int
    tls_port: int
    log: Path


@contextmanager
def postfix(folder: Path, certificate: Certificate) -> Iterator[Postfix]:
    """Run a Postfix for the length of the block."""
    command = program("postfix")
    if os.geteuid() != 0:
        pytest.skip("Postfix is started by root only")
    for above in (folder, *folder.parents):  # its own user must get in
        if above != Path("/") and above.stat().st_uid == 0 and above != Path("/tmp"):
            above.chmod(above.stat().st_mode | 0o755)
    ports = {"port": f"127.0.0.1:{(port := free_port())}", "tls_port": f"127.0.0.1:{(tls_port := free_port())}"}
    (folder / "data").mkdir()
    subprocess.run(["chown", "postfix:", folder / "data"], check=True)
    (folder / "queue").mkdir()
    (folder / "main.cf").write_text(MAIN.format(folder=folder, certificate=certificate))
    (folder / "master.cf").write_text(MASTER.format(**ports))
    subprocess.run([command, "-c", folder, "start"], check=True, capture_output=True)
    try:
        wait_for(lambda: listens(port) and listens(tls_port))
        yield Postfix(port, tls_port, folder / "log")
    finally:
        subprocess.run([command, "-c", folder, "stop"], check=False, capture_output=True)
