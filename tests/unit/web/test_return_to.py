"""Signing in goes back to the page that asked for it, and never to another site."""

import re
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some
from quart.typing import TestClientProtocol as Client

from mailroom.accounts.views import Session
from mailroom.kit.ids import new_id
from mailroom.web.forms.return_to import safe_path
from tests.unit.web.fakes import PASSWORD, World

As = Callable[[Session], Client]
ALICE = {"email": "alice@example.org", "password": PASSWORD}
ELSEWHERE = [
    "https://mallory.example",
    "//mallory.example",
    "/\\mallory.example",
    "\\\\mallory.example",
    "/\t/mallory.example",
    "/\n/mallory.example",
    "javascript:alert(1)",
    "mallory.example",
    " /account",
    "/" + "x" * 600,
    "//[",
    "/https://mallory.example/x",
    "/javascript:alert(1)",
    "/data:text/html,x",
    "/account//mallory.example",
    "/../neighbour",
    "/..",
    "/./account",
    "/account/../../neighbour",
    "/%2e%2E/neighbour",
    "/account/.%2e?next=1",
    "/..#top",
]


@pytest.mark.parametrize("asked", ELSEWHERE)
async def test_nobody_is_led_to_another_site(browser: Client, asked: str) -> None:
    assert safe_path(asked) == ""
    answer = await browser.post("/sign-in", form={**ALICE, "next": asked})
    assert answer.headers["Location"] == "/account"


@given(some.text(some.sampled_from("/\\\t\n :@.ax?#%"), max_size=12).map(lambda text: f"/{text}"))
def test_whatever_is_let_through_is_a_path(asked: str) -> None:
    path = safe_path(asked)
    assert path == "" or re.match(r"/(?![/\\])", path)
    assert not re.search(r"[\t\r\n\\]", path)
    for alone in (path, path[1:]):  # whoever drops the first slash goes to no other site, either
        assert urlsplit(urljoin("https://localhost/mail/", alone)).netloc == "localhost"


@pytest.mark.parametrize(
    "path",
    [
        "/tasks?state=failed",
        "/account",
        "/mails/0192f0c1-0000-7000-8000-000000000001",
        "/tasks?search=to:@a.example/../b",
        "/account/..x",
    ],
)
async def test_sign_in_goes_back_to_where_one_wanted_to_go(browser: Client, path: str) -> None:
    form = await browser.get("/sign-in", query_string={"next": path})
    page = await form.get_data(as_text=True)
    assert f'name="next" value="{path}"' in page
    assert "Please sign in to see the page that you asked for." in page
    answer = await browser.post("/sign-in", form={**ALICE, "next": path})
    assert answer.headers["Location"] == path


async def test_a_wrong_password_does_not_forget_where_one_wanted_to_go(browser: Client) -> None:
    answer = await browser.post("/sign-in", form={**ALICE, "password": "wrong", "next": "/tasks"})
    assert 'name="next" value="/tasks"' in await answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "path",
    ["/account", "/tasks", "/tasks?state=failed", "/account/security", "/account/password", "/account/address"],
)
async def test_a_page_of_an_account_asks_to_sign_in_and_returns(browser: Client, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status_code == 303
    page = await (await browser.get(answer.headers["Location"])).get_data(as_text=True)
    assert f'name="next" value="{path}"' in page


@pytest.mark.parametrize(
    "path", ["password", "address", "export", "sessions/end-others", f"sessions/{UUID(int=7)}/end"]
)
async def test_a_form_of_an_account_does_nothing_for_a_visitor_and_asks_to_sign_in(
    browser: Client, path: str
) -> None:
    answer = await browser.post(f"/account/{path}", form={"email": "mallory@example.org"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?next=/account")


@pytest.mark.parametrize("room", ["mails", "tasks"])
async def test_a_signed_out_visitor_is_offered_to_sign_in(
    browser: Client, as_: As, world: World, room: str
) -> None:
    """The same for a ticket that is somebody else's and one that never was."""
    bob = world.start().session
    pages = []
    for ticket in (world.put_mail(bob), new_id()):
        answer = await browser.get(f"/{room}/{ticket}")
        assert answer.status_code == 404
        page = await answer.get_data(as_text=True)
        assert f'href="/sign-in?next=/{room}/{ticket}"' in page
        pages.append(re.sub(r'data-now="[^"]*"', "", page.replace(str(ticket), "")))
    assert pages[0] == pages[1]
    assert (await as_(bob).get(f"/{room}/{new_id()}")).status_code == 404


async def test_a_member_is_not_asked_to_sign_in_again(as_: As, alice: Session) -> None:
    page = await (await as_(alice).get("/mails/0192f0c1-0000-7000-8000-000000000001")).get_data(as_text=True)
    assert "This page cannot be shown" in page
    assert "/sign-in" not in page


async def test_the_navigation_marks_the_current_page(as_: As, alice: Session, world: World) -> None:
    client = as_(alice)
    ticket = world.put_mail(alice, state="sent", final=True)
    for path, link in (
        ("/account", '/account" aria-current="page"'),
        (f"/mails/{ticket}", '/tasks" aria-current="true"'),
    ):
        page = await (await client.get(path)).get_data(as_text=True)
        head = page.partition("</header>")[0]
        assert f'href="{link}' in head
        assert head.count("aria-current=") == 1
