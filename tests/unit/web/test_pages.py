import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from mailroom.accounts import errors
from mailroom.accounts.views import Session
from mailroom.kit.ids import new_id
from tests.unit.web import fakes
from tests.unit.web.fakes import CODE, PASSWORD, TOKEN, World

As = Callable[[Session], Client]
ALICE = {"email": "alice@example.org", "password": PASSWORD}


async def text_of(client: Client, path: str) -> str:
    answer = await client.get(path)
    assert answer.status_code == 200
    return await answer.get_data(as_text=True)


# -- signing up


async def test_a_sign_up_goes_on_to_the_page_of_its_mail(browser: Client, world: World) -> None:
    answer = await browser.post("/sign-up", form=ALICE)
    assert answer.status_code == 303
    ticket = answer.headers["Location"].rpartition("/")[2]
    assert answer.headers["Location"] == f"/mails/{ticket}"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("mailroom=secret-")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    page = await text_of(browser, f"/mails/{ticket}")
    assert f'ticket="{ticket}"' in page
    assert "Waiting for a worker" in page
    assert 'http-equiv="refresh" content="2"' in page


async def test_a_sign_up_in_json_answers_alike(browser: Client) -> None:
    answer = await browser.post("/sign-up", json=ALICE)
    assert answer.status_code == 303


async def test_under_https_the_cookie_is_bound_to_this_host(make_app: Callable[..., Quart]) -> None:
    app = make_app(public_url="https://localhost", trusted_proxies=1)
    answer = await app.test_client().post("/sign-up", form=ALICE, headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["Set-Cookie"].startswith("__Host-mailroom=")
    assert "Secure" in answer.headers["Set-Cookie"]


async def test_what_is_wrong_stands_beside_its_field_and_the_password_is_not_repeated(browser: Client) -> None:
    answer = await browser.post("/sign-up", form={"email": "alice@example.org", "password": "hunter2"})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "That is shorter than 15 characters." in page
    assert 'aria-describedby="password-wrong password-hint"' in page
    assert 'value="alice@example.org"' in page
    assert "hunter2" not in page
    password = re.search(r'<input id="password".*?>', page, re.DOTALL)
    assert password
    assert "autofocus" in password[0]


@pytest.mark.parametrize("email", ["", "   ", "x" * 400])
async def test_an_address_that_cannot_be_one_is_asked_for_again(browser: Client, email: str) -> None:
    answer = await browser.post("/sign-up", form={"email": email, "password": PASSWORD})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'id="email-wrong"' in page


async def test_a_program_is_told_in_json_which_field_is_wrong(browser: Client) -> None:
    answer = await browser.post("/sign-up", json={"email": "nobody", "password": PASSWORD})
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    body = json.loads(await answer.get_data())
    assert body["errors"] == [
        {
            "field": "email",
            "detail": "There is no @ in it. Please check the address; it looks like name@example.org.",
        }
    ]


@pytest.mark.parametrize("body", ["[]", "7", "{", '"x"'])
async def test_json_that_is_no_object_is_a_bad_request(browser: Client, body: str) -> None:
    answer = await browser.post("/sign-up", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


# -- the page of a mail


async def test_nobody_else_can_open_the_page_of_a_mail(as_: As, browser: Client, world: World) -> None:
    bob, mallory = world.start().session, world.start().session
    ticket = world.put_mail(bob)
    assert (await as_(bob).get(f"/mails/{ticket}")).status_code == 200
    assert (await as_(mallory).get(f"/mails/{ticket}")).status_code == 404
    assert (await browser.get(f"/mails/{ticket}")).status_code == 404
    assert (await as_(bob).get(f"/mails/{new_id()}")).status_code == 404
    assert (await as_(bob).get("/mails/nonsense")).status_code == 404


async def test_an_accepted_mail_asks_for_the_code_and_rests(as_: As, world: World) -> None:
    bob = world.start().session
    page = await text_of(as_(bob), f"/mails/{world.put_mail(bob, state='sent', final=True)}")
    assert "http-equiv" not in page
    assert re.search(r'data-for="sent uncertain">', page)
    assert "Accepted: look in your inbox" in page


async def test_a_wrong_code_is_said_on_the_page_it_was_typed_on(as_: As, world: World) -> None:
    bob = world.start().session
    ticket = world.put_mail(bob, state="sent", final=True)
    answer = await as_(bob).post("/confirm", form={"code": "WRONG-ONE", "ticket": str(ticket)})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "you have 4 tries left" in page
    assert f'ticket="{ticket}"' in page


async def test_the_right_code_signs_in(as_: As, world: World) -> None:
    bob = world.start().session
    browser = as_(bob)
    answer = await browser.post("/confirm", form={"code": f" {CODE.lower()} "})
    assert answer.status_code == 303
    assert "alice@example.org" in await text_of(browser, "/account")


async def test_a_code_in_a_foreign_browser_leads_on(browser: Client) -> None:
    answer = await browser.post("/confirm", form={"code": CODE})
    assert answer.status_code == 404
    assert "/sign-up" in await answer.get_data(as_text=True)


async def test_asking_for_another_mail_too_soon_says_when(as_: As, world: World) -> None:
    bob = world.start().session
    ticket = world.put_mail(bob, state="sent", final=True)
    world.resend_in = 42.0
    answer = await as_(bob).post(f"/mails/{ticket}/resend")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "42"
    assert "You can ask again in 42 seconds." in await answer.get_data(as_text=True)


async def test_another_mail_has_a_page_of_its_own(as_: As, world: World) -> None:
    bob = world.start().session
    ticket = world.put_mail(bob, state="sent", final=True)
    answer = await as_(bob).post(f"/mails/{ticket}/resend")
    assert answer.status_code == 303
    assert answer.headers["Location"] not in {f"/mails/{ticket}", "/mails/"}


async def test_a_mail_that_is_no_sign_up_has_no_code_and_no_resend(as_: As, alice: Session, world: World) -> None:
    ticket = world.put_mail(alice, state="sent", final=True)
    world.sign_ups.clear()
    page = await text_of(as_(alice), f"/mails/{ticket}")
    assert "/resend" not in page
    assert 'name="code"' not in page


async def test_what_a_server_says_is_shown_as_text(as_: As, alice: Session, world: World) -> None:
    ticket = world.put_mail(
        alice, state="failed", final=True, error={"reason": "refused", "answer": "<script>alert(1)</script>"}
    )
    page = await text_of(as_(alice), f"/mails/{ticket}")
    assert "&lt;script&gt;alert(1)" in page


# -- the API


async def test_the_api_tells_an_owner_alone_what_the_server_said(as_: As, alice: Session, world: World) -> None:
    anonymous = world.start().session
    error = {"reason": "refused", "code": 550, "answer": "no such user"}
    hers = world.put_mail(alice, state="failed", final=True, error=error)
    theirs = world.put_mail(anonymous, state="failed", final=True, error=error)
    body = json.loads(await (await as_(alice).get(f"/api/v1/tasks/{hers}")).get_data())
    assert body["error"]["answer"] == "no such user"
    body = json.loads(await (await as_(anonymous).get(f"/api/v1/tasks/{theirs}")).get_data())
    assert body["error"] == {"reason": "refused", "code": 550}
    assert body["final"] is True


async def test_an_account_is_not_told_the_server_s_words_about_an_address_not_its_own(
    as_: As, alice: Session, world: World
) -> None:
    ticket = world.put_mail(alice, "bob@example.org", state="failed", error={"reason": "refused", "answer": "x"})
    world.tasks[ticket].owner_id = None
    body = json.loads(await (await as_(alice).get(f"/api/v1/tasks/{ticket}")).get_data())
    assert "answer" not in body["error"]


async def test_unknown_and_foreign_tasks_are_the_same_problem(as_: As, world: World) -> None:
    bob, mallory = world.start().session, world.start().session
    ticket = world.put_mail(bob)
    answers = [await as_(mallory).get(f"/api/v1/tasks/{one}") for one in (ticket, new_id(), "x")]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.content_type for answer in answers} == {"application/problem+json"}
    assert len({await answer.get_data() for answer in answers}) == 1


async def test_an_answer_that_still_holds_is_not_sent_twice(as_: As, world: World) -> None:
    bob = world.start().session
    browser, ticket = as_(bob), world.put_mail(bob)
    first = await browser.get(f"/api/v1/tasks/{ticket}")
    again = await browser.get(f"/api/v1/tasks/{ticket}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, await again.get_data()) == (304, b"")


async def test_the_api_describes_itself_and_only_itself(browser: Client) -> None:
    body = json.loads(await (await browser.get("/api/openapi.json")).get_data())
    assert all(path.startswith("/api/v1/") for path in body["paths"])
    assert {"/api/v1/emails", "/api/v1/tasks", "/api/v1/tasks/{ticket}"} <= set(body["paths"])


# -- confirming by link


async def test_a_link_shows_whose_address_it_is_and_changes_nothing(browser: Client, world: World) -> None:
    page = await text_of(browser, f"/confirm/{TOKEN}")
    assert "alice@example.org" in page
    assert '<form class="sheet confirm" method="post">' in page
    assert not world.sessions


async def test_from_another_browser_the_password_is_asked_for(browser: Client, world: World) -> None:
    world.needs_password = True
    assert 'type="password"' in await text_of(browser, f"/confirm/{TOKEN}")
    answer = await browser.post(f"/confirm/{TOKEN}", form={"password": "wrong"})
    assert answer.status_code == 422
    assert "Nothing was changed" in await answer.get_data(as_text=True)
    assert "Set-Cookie" not in answer.headers
    answer = await browser.post(f"/confirm/{TOKEN}", form={"password": PASSWORD})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/account")


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("wrong", (404, "This link does not work", "/confirm")),
        ("used", (410, "Already confirmed", "/sign-in")),
        ("expired", (410, "This link is too old", "/sign-up")),
        ("replaced", (410, "There is a newer mail", "/confirm")),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_each_bad_link_has_a_page_with_a_way_on(
    browser: Client, token: str, said: tuple[int, str, str], method: str
) -> None:
    status, title, way = said
    answer = await browser.open(f"/confirm/{token}", method=method)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in page
    assert f'class="button" href="{way}"' in page


# -- a forgotten password


async def test_a_forgotten_password_leads_to_the_page_of_its_mail(browser: Client) -> None:
    assert 'href="/new-password"' in await text_of(browser, "/sign-in")
    answer = await browser.post("/new-password", form={"email": "alice@example.org"})
    assert answer.status_code == 303
    page = await text_of(browser, answer.headers["Location"])
    assert "ask for another link" in page
    assert "/resend" not in page, "that is for sign-ups"


async def test_what_is_no_address_is_said_beside_the_field(browser: Client) -> None:
    answer = await browser.post("/new-password", form={"email": "alice"})
    assert answer.status_code == 422
    assert "There is no @ in it." in await answer.get_data(as_text=True)
    answer = await browser.post("/new-password", json={"email": ""})
    assert (await answer.get_json())["errors"] == [{"field": "email", "detail": "Please type your mail address."}]


async def test_who_is_signed_in_finds_the_own_address_in_the_form(as_: As, world: World) -> None:
    session = world.start("bob@example.org").session
    assert 'value="bob@example.org"' in await text_of(as_(session), "/new-password")


async def test_a_new_password_is_taken_and_signs_in(browser: Client) -> None:
    page = await text_of(browser, f"/new-password/{TOKEN}")
    assert "alice@example.org" in page
    assert 'autocomplete="new-password"' in page
    for password, said in (("", "Please type a password."), ("short", "shorter than 15")):
        answer = await browser.post(f"/new-password/{TOKEN}", form={"password": password})
        assert answer.status_code == 422
        assert said in await answer.get_data(as_text=True)
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in answer.headers
    answer = await browser.post(f"/new-password/{TOKEN}", form={"password": PASSWORD})
    assert answer.status_code == 303
    assert "Set-Cookie" in answer.headers
    assert "Your password is changed" in await text_of(browser, answer.headers["Location"])


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("wrong", (404, "This link does not work", "/new-password")),
        ("used", (410, "This link was used", "/new-password")),
        ("expired", (410, "This link is too old", "/new-password")),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_each_bad_link_to_a_new_password_has_a_page_with_a_way_on(
    browser: Client, token: str, said: tuple[int, str, str], method: str
) -> None:
    status, title, way = said
    answer = await browser.open(f"/new-password/{token}", method=method, form={"password": PASSWORD})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in page
    assert f'class="button" href="{way}"' in page
    assert answer.headers["Referrer-Policy"] == "no-referrer"


# -- signing in and out, the account


async def test_a_wrong_password_does_not_say_which_of_the_two_is_wrong(browser: Client) -> None:
    answer = await browser.post("/sign-in", form={**ALICE, "password": "wrong"})
    assert answer.status_code == 422
    assert "do not belong together" in await answer.get_data(as_text=True)


async def test_who_has_not_confirmed_yet_can_have_the_mail_again(browser: Client, world: World) -> None:
    world.raises = errors.NotConfirmed(new_id())
    answer = await browser.post("/sign-in", form=ALICE)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert f"/mails/{world.raises.ticket}/resend" in page


@pytest.mark.parametrize("here", ["/sign-out", "/account/sessions/{id}/end"])
async def test_signing_out_takes_the_cookie_away_and_what_was_kept(
    as_: As, alice: Session, world: World, here: str
) -> None:
    answer = await as_(alice).post(here.format(id=alice.id))
    assert answer.status_code == 303
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert not world.sessions


async def test_the_account_page_is_for_who_is_signed_in(browser: Client) -> None:
    assert (await browser.get("/account")).headers["Location"] == "/sign-in?next=/account"


async def test_who_is_signed_in_skips_the_doors(as_: As, alice: Session) -> None:
    for path in ("/", "/sign-in", "/sign-up"):
        assert (await as_(alice).get(path)).headers["Location"] == "/account"


async def test_the_account_s_pages_show_mails_and_sessions(as_: As, alice: Session, world: World) -> None:
    world.sessions["phone"] = replace(alice, id=new_id(), user_agent="Mozilla/5.0 (iPhone) Safari/604")
    world.sessions["program"] = replace(alice, id=new_id(), user_agent="curl/8.5")
    world.put_mail(alice, state="sent")
    assert "Accepted" in await text_of(as_(alice), "/account")
    page = await text_of(as_(alice), "/account/sessions")
    assert "Firefox 130 on Linux" in page
    assert "Safari on an iPhone" in page
    assert re.search(r">\s*A browser\s*<", page)


async def test_ending_another_session_stays_and_ending_this_one_leaves(
    as_: As, alice: Session, world: World
) -> None:
    phone = replace(alice, id=new_id())
    world.sessions["phone"] = phone
    answer = await as_(alice).post(f"/account/sessions/{phone.id}/end")
    assert answer.headers["Location"] == "/account/sessions"
    assert "phone" not in world.sessions
    answer = await as_(alice).post(f"/account/sessions/{alice.id}/end")
    assert answer.headers["Location"] == "/"


async def test_a_session_that_lives_on_renews_its_cookie(as_: As, alice: Session, world: World) -> None:
    from datetime import timedelta

    browser = as_(alice)
    secret = next(iter(world.sessions))
    world.sessions[secret] = replace(alice, extended_to=fakes.clock.now() + timedelta(days=30))
    answer = await browser.get("/account")
    assert answer.headers["Set-Cookie"].startswith(f"mailroom={secret};")
    assert "Max-Age=2591" in answer.headers["Set-Cookie"]


async def test_the_session_is_looked_up_once_and_only_where_it_is_needed(
    as_: As, alice: Session, world: World
) -> None:
    browser = as_(alice)
    for path in ("/healthz", "/static/mailroom.css", "/favicon.ico"):
        await browser.get(path)
    assert world.looked_up == 0
    await browser.get("/account")
    assert world.looked_up == 1


@pytest.mark.parametrize(
    ("reason", "blames"), [("refused", True), ("mailbox refused", True), ("policy refused", False)]
)
async def test_only_an_address_that_was_refused_is_to_be_checked(
    as_: As, alice: Session, world: World, reason: str, blames: bool
) -> None:
    ticket = world.put_mail(alice, state="failed", final=True, error={"reason": reason, "code": 550})
    page = await text_of(as_(alice), f"/mails/{ticket}")
    assert ('data-for="failed-address">' in page) is blames
    assert ('data-for="failed-otherwise expired cancelled">' in page) is not blames
