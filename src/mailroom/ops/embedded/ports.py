"""Free ports on loopback."""

import socket

LOOPBACK = "127.0.0.1"
HIGHEST = 65535


def free_port(wanted: int | None = None) -> int:
    """Return the first free port from `wanted` on; without it, any free port the system names.

    Raises OSError where there is none.
    """
    if wanted is None:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            return int(probe.getsockname()[1])
    for port in range(wanted, HIGHEST + 1):
        if _is_free(port):
            return port
    raise OSError(f"no port from {wanted} on is free")


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
