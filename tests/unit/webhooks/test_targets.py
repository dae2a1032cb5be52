"""Where webhooks may lead: public addresses only, however they are written."""

import socket
from ipaddress import ip_address

import httpcore
import pytest

from mailroom.webhooks.poster import GuardedBackend
from mailroom.webhooks.targets import ForbiddenTarget, InvalidUrl, check_url, is_public


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
     "2002:7f00:1::", "2002:a9fe:a9fe::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:0:53aa:64c::1", "ff02::1",
     "192.0.2.1", "2001:db8::1"],
)  # fmt: skip
def test_what_is_not_the_internet_is_no_target(address: str) -> None:
    assert not is_public(ip_address(address))


def test_public_addresses_are() -> None:
    for address in ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"):
        assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url", ["ftp://a.example", "https://", "https://u:p@a.example", "https://a.example/#x", "x",
            "https://a.example:x", "https://a b.example", "https://a.example/\r\nHost: b",
            "https://ä.example", "https://[::1", "https://a.example/" + "x" * 2000]
)  # fmt: skip
def test_what_is_no_address_of_a_webhook_is_told(url: str) -> None:
    with pytest.raises(InvalidUrl):
        check_url(url, private=False)


def test_a_private_address_is_refused_unless_that_is_allowed() -> None:
    for url in ("http://127.0.0.1:80/x", "http://[::1]/", "https://169.254.169.254/latest/meta-data"):
        with pytest.raises(ForbiddenTarget):
            check_url(url, private=False)
        check_url(url, private=True)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1", "017700000001"])
async def test_a_name_that_leads_inside_is_refused_before_the_connection(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises((ForbiddenTarget, httpcore.ConnectError)):
            await GuardedBackend(private=False).connect_tcp(host, port, timeout=2)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
