"""Opens the socket that the processes of a fleet share."""

import socket

BACKLOG = 1024
"""Connections that wait to be accepted."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises OSError if the port is taken or may not be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening
