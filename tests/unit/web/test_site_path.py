"""Mailroom under a path of a host: every address that it tells leads there."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from mailroom.accounts.views import Session
from mailroom.settings import SettingsError
from mailroom.web import site_path
from mailroom.web.static_files import STATIC
from tests.unit.web.fakes import PASSWORD, World

TEMPLATES = STATIC.parent / "templates"
BEHIND_TLS = {"X-Forwarded-Proto": "https"}
PAGES = ("/", "/sign-up", "/sign-in", "/new-password", "/account", "/account/security", "/account/data", "/tasks",
         "/account/profile", "/account/sessions", "/api/docs", "/nothing-here")  # fmt: skip


@pytest.fixture
def app(make_app: Callable[..., Quart]) -> Quart:
    return make_app(public_url="https://localhost/post", trusted_proxies=1)


@pytest.fixture
def alices(app: Quart, world: World, alice: Session) -> Client:
    client = app.test_client()
    secret = next(key for key, one in world.sessions.items() if one.id == alice.id)
    client.set_cookie("localhost", "__Secure-mailroom", secret, path="/post", secure=True)
    return client


async def get(client: Client, path: str, **options: Any) -> Any:
    return await client.get(path, headers=BEHIND_TLS, scheme="https", **options)


@pytest.mark.parametrize("under", ["/post", ""])
@pytest.mark.parametrize("path", PAGES)
async def test_every_address_in_a_page_lies_under_the_path_whether_or_not_the_proxy_takes_it_off(
    alices: Client, under: str, path: str
) -> None:
    answer = await get(alices, f"{under}{path}")
    page = await answer.get_data(as_text=True)
    if answer.status_code == 303:
        assert answer.headers["Location"].startswith("/post/")
        return
    addresses = re.findall(r'(?<! value)="(/[^"]*)"', page)  # a field's value is for the server, which knows
    assert len(addresses) > 5
    assert [address for address in addresses if not re.match(r"/post(/|$)", address)] == []


async def test_redirects_and_cookies_are_of_the_path_and_other_sites_keep_what_they_have(app: Quart) -> None:
    browser = app.test_client()
    form = {"email": "alice@example.org", "password": PASSWORD}
    answer = await browser.post("/post/sign-up", form=form, headers=BEHIND_TLS, scheme="https")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/post/mails/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Secure-mailroom=") and "Path=/post" in cookie
    assert (await get(browser, answer.headers["Location"])).status_code == 200
    out = await browser.post("/post/sign-out", headers=BEHIND_TLS, scheme="https")
    assert out.headers["Location"] == "/post/"
    assert "Path=/post" in out.headers["Set-Cookie"]
    assert "Clear-Site-Data" not in out.headers


async def test_static_files_scripts_and_health_are_there_too(app: Quart) -> None:
    browser = app.test_client()
    page = await (await get(browser, "/post/")).get_data(as_text=True)
    for address in re.findall(r'(?:src|href)="(/post/static/[^"]+)"', page):
        answer = await get(browser, address)
        assert (answer.status_code, "immutable" in answer.headers["Cache-Control"]) == (200, True), address
    for path in ("/post/healthz", "/healthz", "/up", "/post/embed.js"):
        assert (await get(browser, path)).status_code == 200
    assert (await get(browser, "/postage")).status_code == 404


async def test_a_page_trusts_nothing_of_the_host_s_other_sites(app: Quart) -> None:
    policy = (await get(app.test_client(), "/post/")).headers["Content-Security-Policy"]
    assert "'self'" not in policy
    assert "script-src https://localhost/post/;" in policy
    assert "connect-src https://localhost/post/ wss://localhost/post/;" in policy


@pytest.mark.parametrize("path", ["/mails", "/api/mail", "/static", "/account"])
def test_a_path_that_is_a_page_s_too_is_refused(make_app: Callable[..., Quart], path: str) -> None:
    with pytest.raises(SettingsError, match=f"pages of its own below /{path.split('/')[1]}"):
        make_app(public_url=f"https://localhost{path}")


def test_each_attribute_of_a_template_that_may_hold_an_address_is_known() -> None:
    """House rule: a page may be under a path, and only these attributes get it."""
    known = set(re.search(r"\(\?:([^)]*)\)", site_path.ADDRESS)[1].split("|"))  # type: ignore[index]
    address = re.compile(r'\s([a-z-]+)="(?:/|\{\{ (?:static_url|[\w.]*href)\b)')
    used = {name for template in TEMPLATES.rglob("*.html") for name in address.findall(template.read_text())}
    assert len(used) >= 4
    assert used - known == set()


def test_each_address_in_a_script_is_told_where_the_site_is() -> None:
    """House rule: scripts make addresses by `inSite`."""
    loose = re.compile(r"""(?<!inSite\()(?<!\$=)["'`]/[a-z][\w/-]*""")
    found = {
        (script.name, address)
        for script in Path(STATIC).glob("*.js")
        for line in script.read_text().splitlines()
        if not line.lstrip().startswith(("//", "*", "<", "or:"))
        for address in loose.findall(line)
    }
    assert found == set()
