"""Free ports on loopback."""

import random
import socket

LOOPBACK = "127.0.0.1"
HIGHEST = 65535
QUIET = range(20_000, 32_000)
"""Ports below those that Linux gives to outgoing connections: none is taken between the check and its use."""


def free_port(wanted: int | None = None) -> int:
    """Return the first free port from `wanted` on; without it, any free port of `QUIET`.

    Raises OSError if there is none.
    """
    ports = range(wanted, HIGHEST + 1) if wanted is not None else random.sample(QUIET, len(QUIET))
    for port in ports:
        if _is_free(port):
            return port
    raise OSError(f"no port from {ports[0]} on is free" if wanted is not None else "no port is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # What a server that has just stopped leaves behind (TIME_WAIT) does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
        return True
