"""PgBouncer in front of a PostgreSQL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mailroom.ops.embedded.ports import free_port
from tests.servers.conftest import program, running

CONFIG = """\
[databases]
* = host=127.0.0.1 port={server.port} user={server.username} password={server.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
server_round_robin = {round_robin:d}
default_pool_size = {size}
query_wait_timeout = 3
"""


@contextmanager
def pgbouncer(url: str, folder: Path, *, mode: str, size: int = 20, round_robin: bool = False) -> Iterator[str]:
    """Lend the address of a PgBouncer in front of the database at `url`."""
    port, server = free_port(), urlsplit(url)
    (folder / "pgbouncer.ini").write_text(
        CONFIG.format(server=server, port=port, mode=mode, size=size, round_robin=round_robin)
    )
    command = [program("pgbouncer"), "-q", "pgbouncer.ini"]
    if os.geteuid() == 0:  # it refuses to be root
        (folder / "pgbouncer.ini").chmod(0o644)
        command[1:1] = ["-u", "nobody"]
    with running(command, folder, port):
        yield f"postgresql://{server.username}:any@127.0.0.1:{port}{server.path}"
