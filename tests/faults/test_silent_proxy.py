"""The proxy that goes silent does what the fault tests rely on."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.faults.silent_proxy import Direction, SilentProxy
from tests.sink import wait_for


class Echo(socketserver.StreamRequestHandler):
    heard: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        for line in self.rfile:
            self.heard.append(line)
            self.wfile.write(line)


@pytest.fixture
def proxy() -> Iterator[SilentProxy]:
    Echo.heard = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with SilentProxy("127.0.0.1", server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()


def connect(proxy: SilentProxy) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", proxy.port))
    client.settimeout(0.3)
    return client


def said(client: socket.socket, line: bytes) -> bytes | None:
    client.sendall(line + b"\n")
    try:
        return client.recv(100)
    except TimeoutError:
        return None


@pytest.mark.parametrize(("direction", "heard"), [(Direction.TO_SERVER, False), (Direction.TO_CLIENT, True)])
def test_old_connections_go_silent_in_one_direction_and_new_ones_work(
    proxy: SilentProxy, direction: Direction, heard: bool
) -> None:
    with connect(proxy) as old, connect(proxy) as new_one:
        assert said(old, b"one") == b"one\n"
        new_one.close()
        proxy.silence(direction)
        assert said(old, b"two") is None
        assert (b"two\n" in Echo.heard) is heard
        with connect(proxy) as new:
            assert said(new, b"three") == b"three\n"


def test_a_connection_goes_silent_at_a_word(proxy: SilentProxy) -> None:
    proxy.silence_after(b"MAIL", Direction.TO_CLIENT, times=1)
    with connect(proxy) as first, connect(proxy) as second:
        assert said(first, b"EHLO") == b"EHLO\n"
        assert said(first, b"MAIL") is None
        assert said(first, b"RSET") is None
        assert said(second, b"MAIL") == b"MAIL\n"


def test_the_end_of_a_silent_connection_gets_lost_and_a_reset_does_not(proxy: SilentProxy) -> None:
    with connect(proxy) as client:
        assert said(client, b"one") == b"one\n"
        wait_for(lambda: proxy.open_now == 1)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
