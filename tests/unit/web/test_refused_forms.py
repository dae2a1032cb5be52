"""Forms that were refused, as a browser meets them: all that is wrong at once, and Back asks nothing."""

import re
from collections.abc import Callable
from http.cookies import SimpleCookie

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from mailroom.accounts import errors
from mailroom.accounts.views import Session
from mailroom.kit.ids import new_id
from tests.unit.web.fakes import CODE, PASSWORD, TOKEN, World

As = Callable[[Session], Client]
BROWSER = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}


async def follow(client: Client, answer: object) -> str:
    assert answer.status_code == 303  # type: ignore[attr-defined]
    shown = await client.get(answer.headers["Location"])  # type: ignore[attr-defined]
    assert shown.status_code == 200
    return await shown.get_data(as_text=True)


async def test_a_browser_is_sent_back_to_the_form_which_says_all_that_is_wrong(browser: Client) -> None:
    answer = await browser.post("/sign-up", form={"email": "nobody", "password": "hunter2"}, headers=BROWSER)
    page = await follow(browser, answer)
    assert "There is no @ in it." in page
    assert "That is shorter than 15 characters." in page
    assert 'value="nobody"' in page
    assert "hunter2" not in page and "hunter2" not in str(answer.headers)
    assert "<title>Please check: Sign up" in page


async def test_what_was_refused_is_said_once(browser: Client) -> None:
    answer = await browser.post("/sign-up", form={"email": "nobody", "password": PASSWORD}, headers=BROWSER)
    assert "There is no @" in await follow(browser, answer)
    again = await (await browser.get("/sign-up")).get_data(as_text=True)
    assert "There is no @" not in again
    assert "nobody" not in again


async def test_a_program_gets_the_page_in_its_answer(browser: Client) -> None:
    answer = await browser.post("/sign-up", form={"email": "", "password": ""})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'id="email-wrong"' in page and 'id="password-wrong"' in page


async def test_a_password_that_was_right_must_be_typed_again_and_the_form_says_so(browser: Client) -> None:
    answer = await browser.post("/sign-up", form={"email": "nobody", "password": PASSWORD}, headers=BROWSER)
    page = await follow(browser, answer)
    assert "Please type the password again." in page
    assert re.search(r'id="password"[^>]*aria-describedby="password-again password-hint"', page, re.DOTALL)
    assert PASSWORD not in page


@pytest.mark.parametrize("path", ["/sign-in", "/new-password", "/confirm"])
async def test_what_one_form_was_refused_for_is_not_shown_by_another(browser: Client, path: str) -> None:
    await browser.post("/sign-up", form={"email": "<b>nobody", "password": "x"}, headers=BROWSER)
    page = await (await browser.get(path)).get_data(as_text=True)
    assert "There is no @" not in page
    assert "nobody" not in page


@pytest.mark.parametrize("cookie", ["", "x", "e30.x.y", "{}", "." * 4000])
async def test_a_made_up_cookie_says_nothing(browser: Client, cookie: str) -> None:
    browser.set_cookie("localhost", "mailroom-form", cookie)
    page = await (await browser.get("/sign-up")).get_data(as_text=True)
    assert 'class="message"' not in page


async def test_the_cookie_is_for_this_host_and_no_script(make_app: Callable[..., Quart]) -> None:
    app = make_app(public_url="https://localhost", trusted_proxies=1)
    answer = await app.test_client().post(
        "/new-password", form={"email": "x"}, headers={**BROWSER, "X-Forwarded-Proto": "https"}
    )
    cookie = SimpleCookie(answer.headers["Set-Cookie"])["__Host-mailroom-form"]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")
    assert int(cookie["max-age"]) <= 120


async def test_a_wrong_code_is_said_on_the_mail_s_page_with_what_was_typed(as_: As, world: World) -> None:
    bob = world.start().session
    client, ticket = as_(bob), world.put_mail(bob, state="sent", final=True)
    answer = await client.post("/confirm", form={"code": "WRONG-ONE", "ticket": str(ticket)}, headers=BROWSER)
    assert answer.headers["Location"] == f"/mails/{ticket}"
    page = await follow(client, answer)
    assert "you have 4 tries left" in page
    assert 'value="WRONG-ONE"' in page


async def test_a_code_with_somebody_else_s_ticket_is_answered_on_the_page_for_codes(as_: As, world: World) -> None:
    bob, mallory = world.start().session, world.start().session
    ticket = world.put_mail(bob, state="sent", final=True)
    answer = await as_(mallory).post("/confirm", form={"code": "X", "ticket": str(ticket)}, headers=BROWSER)
    assert answer.headers["Location"] == "/confirm"


async def test_asking_too_soon_is_said_on_the_mail_s_page(as_: As, world: World) -> None:
    bob = world.start().session
    client, ticket = as_(bob), world.put_mail(bob, state="sent", final=True)
    world.resend_in = 42.0
    page = await follow(client, await client.post(f"/mails/{ticket}/resend", headers=BROWSER))
    assert "You can ask again in 42 seconds." in page


async def test_a_sign_in_before_the_confirmation_offers_the_mail(browser: Client, world: World) -> None:
    ticket = new_id()
    world.raises = errors.NotConfirmed(ticket)
    form = {"email": "alice@example.org", "password": PASSWORD, "next": "/tasks"}
    page = await follow(browser, await browser.post("/sign-in", form=form, headers=BROWSER))
    assert f'action="/mails/{ticket}/resend"' in page
    assert 'name="next" value="/tasks"' in page


async def test_links_with_a_wrong_password_say_so_at_the_same_address(browser: Client, world: World) -> None:
    world.needs_password = True
    for path, said in (
        (f"/confirm/{TOKEN}", "Nothing was changed"),
        (f"/new-password/{TOKEN}", "shorter than 15"),
    ):
        answer = await browser.post(path, form={"password": "wrong"}, headers=BROWSER)
        assert answer.headers["Location"] == path
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert said in await follow(browser, answer)


async def test_the_right_code_still_signs_in(as_: As, world: World) -> None:
    bob = world.start().session
    client = as_(bob)
    answer = await client.post("/confirm", form={"code": CODE}, headers=BROWSER)
    assert answer.headers["Location"] == "/account"
    assert "Your address is confirmed" in await follow(client, answer)
    assert "Your address is confirmed" not in await (await client.get("/account")).get_data(as_text=True)
