from collections.abc import Callable
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client
from werkzeug.datastructures import Headers

from mailroom.web.client import client_of, limited_as
from mailroom.web.security import is_known_host, is_same_origin, is_trustworthy
from tests.unit.web import fakes

PUBLIC = fakes.settings(public_url="https://mail.example.org")
EMBEDDED = fakes.settings(public_url="http://box.lan:8000", mailroom_embedded=True, port=8000)


class Asked:
    def __init__(self, headers: dict[str, str], address: str = "10.0.0.1", scheme: str = "http") -> None:
        self.headers, self.remote_addr, self.scheme = Headers(headers), address, scheme


@pytest.mark.parametrize(
    ("headers", "scheme", "ours"),
    [
        ({"Origin": "https://mail.example.org"}, "https", True),
        ({"Origin": "https://mail.example.org:443"}, "https", True),
        ({"Origin": "https://mail.example.org"}, "http", True),  # a proxy unknown to us ends the TLS
        ({"Origin": "http://mail.example.org"}, "https", False),
        ({"Origin": "https://mail.example.org:8443"}, "https", False),
        ({"Origin": "https://mallory.example"}, "https", False),
        ({"Origin": "https://mail.example.org.mallory.example"}, "https", False),
        ({"Origin": "not an origin at all["}, "https", False),
        ({"Origin": "null"}, "https", False),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, "https", True),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, "https", False),
        ({"Origin": "https://mail.example.org", "Sec-Fetch-Site": "cross-site"}, "https", False),
        ({"Sec-Fetch-Site": "same-site"}, "https", False),
        ({"Sec-Fetch-Site": "none"}, "https", True),
        ({}, "https", True),
        ({"Referer": "https://mail.example.org/sign-in"}, "https", True),
        ({"Referer": "https://mallory.example/"}, "https", False),
        ({"Referer": "https://mail.example.org.mallory.example/"}, "https", False),
        ({"Referer": "http://mail.example.org/sign-in"}, "https", False),
        ({"Referer": "about:blank"}, "https", False),
        ({"Referer": "["}, "https", False),
        ({"Referer": "https://mallory.example/", "Sec-Fetch-Site": "same-origin"}, "https", True),
        ({"Referer": "https://mallory.example/", "Origin": "https://mail.example.org"}, "https", True),
    ],
)
def test_only_our_own_pages_are_the_same_origin(headers: dict[str, str], scheme: str, ours: bool) -> None:
    assert is_same_origin(headers, scheme, "mail.example.org", PUBLIC) is ours


def test_a_foreign_host_is_never_the_same_origin() -> None:
    headers = {"Origin": "https://mallory.example"}
    assert not is_same_origin(headers, "https", "mallory.example", PUBLIC)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("box.lan:8000", True),
        ("localhost:8000", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("localhost:8001", False),
        ("localhost", False),
        ("box.lan", False),
        ("", False),
        ("localhost:port", False),
    ],
)
def test_the_embedded_stack_also_answers_to_loopback_on_its_own_port(host: str, known: bool) -> None:
    assert is_known_host(host, EMBEDDED) is known


def test_elsewhere_loopback_is_a_stranger() -> None:
    assert not is_known_host("localhost:8000", fakes.settings(public_url="http://box.lan:8000", port=8000))


def test_without_trusted_proxies_forwarded_headers_are_not_read() -> None:
    asked = Asked({"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "Host": "a"})
    client = client_of(asked, 0)
    assert (client.address, client.scheme, client.host) == ("10.0.0.1", "http", "a")


@pytest.mark.parametrize(("hops", "address"), [(1, "5.5.5.5"), (2, "4.4.4.4"), (3, "6.6.6.6"), (9, "6.6.6.6")])
def test_only_the_entries_of_trusted_proxies_count(hops: int, address: str) -> None:
    asked = Asked({"X-Forwarded-For": "6.6.6.6, 4.4.4.4, 5.5.5.5"})
    assert client_of(asked, hops).address == address


def test_a_websocket_has_the_scheme_of_its_page() -> None:
    assert client_of(Asked({}, scheme="wss"), 0).scheme == "https"


def test_addresses_of_one_ipv6_network_are_limited_together() -> None:
    one, other = (client_of(Asked({}, f"2001:db8:0:1::{n}"), 0).limited_as for n in (1, 2))
    assert one == other == "2001:db8:0:1::/64"
    assert client_of(Asked({}, "::ffff:192.0.2.7"), 0).limited_as == "192.0.2.7"
    assert client_of(Asked({}, "<local>"), 0).limited_as == "<local>"


def test_https_and_loopback_are_trustworthy() -> None:
    assert is_trustworthy("https", "a.example")
    assert is_trustworthy("http", "localhost:8000")
    assert not is_trustworthy("http", "box.lan:8000")


async def test_an_unknown_host_is_told_about_public_url(make_app: Callable[..., Quart]) -> None:
    answer = await make_app(public_url="https://mail.example.org").test_client().get("/")
    assert answer.status_code == 400
    assert "PUBLIC_URL" in await answer.get_data(as_text=True)
    assert "https://mail.example.org" in await answer.get_data(as_text=True)


async def test_health_may_be_asked_by_any_name(app: Quart) -> None:
    answer = await app.test_client().get("/healthz", headers={"Host": "10.1.2.3:8000"})
    assert answer.status_code == 200


HOME = ("/", "/sign-up", "/sign-in", "/confirm", "/nothing-here", "/confirm/right-token", "/healthz")


@pytest.mark.parametrize("path", HOME)
async def test_every_answer_has_the_headers(app: Quart, path: str) -> None:
    headers = (await app.test_client().get(path)).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in headers


async def test_under_https_the_browser_is_told_to_stay(make_app: Callable[..., Quart]) -> None:
    client = make_app(public_url="https://localhost").test_client()
    answer = await client.get("/", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


@pytest.mark.parametrize("token", [fakes.TOKEN, *fakes.TOKENS])
async def test_a_token_page_does_not_give_its_address_away(app: Quart, token: str) -> None:
    for path in ("confirm", "new-password"):
        answer = await app.test_client().get(f"/{path}/{token}")
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_on_plain_http_a_token_page_keeps_its_form_working(make_app: Callable[..., Quart]) -> None:
    app = make_app(public_url="http://box.lan")
    answer = await app.test_client().get(f"/confirm/{fakes.TOKEN}", headers={"Host": "box.lan"})
    assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_the_confirmation_button_works_from_a_page_without_referrer(app: Quart) -> None:
    headers = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    answer = await app.test_client().post(f"/confirm/{fakes.TOKEN}", headers=headers)
    assert answer.status_code == 303


async def test_a_program_without_origin_is_let_in(app: Quart) -> None:
    form: dict[str, Any] = {"email": "alice@example.org", "password": fakes.PASSWORD}
    assert (await app.test_client().post("/sign-in", form=form)).status_code == 303


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:50123", "192.0.2.7"),
        ('"192.0.2.7:50123"', "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:50123", "2001:db8::7"),
        ('"[2001:DB8::7]:50123"', "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:1", "fe80::1"),
        ("unknown", "10.0.0.1"),
        ("_hidden", "10.0.0.1"),
        ("192.0.2.7:50123:1", "10.0.0.1"),
        ("999.1.1.1", "10.0.0.1"),
        ("\xff", "10.0.0.1"),
    ],
)
def test_a_forwarded_address_is_one_however_a_proxy_writes_it(entry: str, address: str) -> None:
    assert client_of(Asked({"X-Forwarded-For": f"6.6.6.6, {entry}"}), 1).address == address


@pytest.mark.parametrize(
    ("addresses", "counts_as"),
    [
        (
            ["192.0.2.7", "::ffff:192.0.2.7", "::192.0.2.7", "::ffff:0:192.0.2.7", "64:ff9b::192.0.2.7"],
            "192.0.2.7",
        ),
        (["2002:c000:0207::1", "2002:c000:0207:ffff::1", "2002:c000:0207:1234:5678::"], "192.0.2.7"),  # 6to4
        (["2001:0:4136:e378:8000:63bf:3fff:fdf8", "2001:0:1:2:3:4:3fff:fdf8"], "192.0.2.7"),  # Teredo
        (["2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:DB8:1:2::%eth0"], "2001:db8:1:2::/64"),
        (["::1"], "::/64"),
    ],
)
def test_addresses_of_one_client_count_as_one(addresses: list[str], counts_as: str) -> None:
    assert {limited_as(address) for address in addresses} == {counts_as}


@pytest.mark.parametrize("path", ["//sign-in", "///sign-in", "//tasks//x?state=sent", "/sign-in//"])
async def test_a_redirect_to_the_right_spelling_stays_on_this_site(browser: Client, path: str) -> None:
    answer = await browser.get(path, headers={"Host": "localhost"})
    assert answer.status_code in {200, 308}
    if answer.status_code == 308:
        location = answer.headers["Location"]
        assert location.startswith("/") and not location.startswith("//")


async def test_a_redirect_under_another_sites_name_is_none(browser: Client) -> None:
    answer = await browser.get("//mallory.example//x", headers={"Host": "localhost"})
    assert answer.headers.get("Location", "/").startswith("/mallory.example/") or answer.status_code == 404
