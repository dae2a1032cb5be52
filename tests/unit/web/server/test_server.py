"""The web process: what it sets for Python, and how it ends."""

import gc
import os
import socket
import time
from pathlib import Path

from mailroom.ops.embedded.ports import free_port
from mailroom.web.server import server as serving
from tests import processes

SITE = "tests.unit.web.server.stopping_site"
STOP_SECONDS = 5.0
REQUEST = "GET /{} HTTP/1.1\r\nHost: x\r\n{}\r\n"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def ask(port: int, path: str, more: str = "") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(REQUEST.format(path, more).encode())
    return client


def ending(client: socket.socket) -> bytes:
    """Return what comes until the server ends the connection."""
    got = b""
    with client:
        try:
            while more := client.recv(4096):
                got += more
        except ConnectionResetError:
            pass
    return got


def test_a_stop_leaves_requests_their_time_lets_deaf_sockets_go_at_once_and_ends_whatever_does_not_close(
    tmp_path: Path,
) -> None:
    port = free_port()
    command, environment = [SITE, str(port), str(STOP_SECONDS)], {**os.environ, "PYTHONPATH": str(processes.ROOT)}
    with processes.running("site", command, environment, tmp_path) as site:
        site.wait_for("listening on")
        deaf, slow, endless = ask(port, "deaf", UPGRADE), ask(port, "slow"), ask(port, "endless")
        assert b"101" in deaf.recv(4096)
        began = time.monotonic()
        site.signal(15)
        ending(deaf)
        assert time.monotonic() - began < 0.3 * STOP_SECONDS
        assert b"200" in (answer := ending(slow)) and b"answered" in answer, answer
        assert ending(endless) == b""
        assert time.monotonic() - began < 0.75 * STOP_SECONDS
        assert site.process.wait(10) == 0
        assert time.monotonic() - began < STOP_SECONDS
        assert "could not be closed in time" in site.text and "Traceback" not in site.text


def test_what_stays_is_not_looked_through_for_garbage_again_and_again() -> None:
    before, full = gc.get_threshold(), gc.get_stats()[2]["collections"]
    serving._spare_full_collections()
    try:
        kept = [[number] for number in range(500_000)]
        assert gc.get_stats()[2]["collections"] == full + 1  # the one at the start
        del kept
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
