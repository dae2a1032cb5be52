"""The pages over real services: PostgreSQL, Valkey, no worker. (Mails on their way are in tests/journeys.)"""

import json
from collections.abc import AsyncIterator

import pytest
from quart.typing import TestAppProtocol as App
from quart.typing import TestClientProtocol as Client
from sqlalchemy import text

from mailroom.accounts.tokens import NEW_ADDRESS, NOT_ME, Tokens
from mailroom.bootstrap.web import create_web
from mailroom.kit.ids import parse_id
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.parts import part_of
from tests.conftest import SECRET_KEY

PASSWORD = "otter lamp quiet ferry window"
ALICE = {"email": "alice@example.org", "password": PASSWORD}


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    async with create_web(settings.model_copy(update={"public_url": "http://localhost"})).test_app() as running:
        yield running


def browser_of(app: App) -> Client:
    return app.test_client()


async def sign_up(browser: Client, form: dict[str, str] = ALICE) -> str:
    answer = await browser.post("/sign-up", form=form)
    assert answer.status_code == 303, await answer.get_data(as_text=True)
    return answer.headers["Location"].rpartition("/")[2]


async def token_and_code(app: App, ticket: str) -> tuple[str, str]:
    services = part_of(app.app, Services)
    task_id = parse_id(ticket)
    assert task_id
    async with services.database.begin() as work:
        mail = await services.outbox.find(work, task_id)
    assert mail
    assert mail.nonce
    tokens = Tokens([SECRET_KEY])
    return tokens.token(mail.id, mail.nonce), tokens.code(mail.id, mail.nonce)


async def test_everything_it_needs_answers(app: App) -> None:
    answer = await browser_of(app).get("/readyz")
    assert json.loads(await answer.get_data()) == {"ready": True, "checks": {"database": "ok", "redis": "ok"}}


async def test_without_a_worker_the_page_says_queued_and_waits(app: App) -> None:
    alice, mallory = browser_of(app), browser_of(app)
    ticket = await sign_up(alice)
    page = await (await alice.get(f"/mails/{ticket}")).get_data(as_text=True)
    assert "Waiting for a worker" in page
    assert "alice@example.org" in page
    body = json.loads(await (await alice.get(f"/api/v1/tasks/{ticket}")).get_data())
    assert (body["state"], body["final"], body["timeline"][0]["stage"]) == ("queued", False, "queued")
    await sign_up(mallory, {"email": "mallory@example.org", "password": PASSWORD})
    for path in (f"/mails/{ticket}", f"/api/v1/tasks/{ticket}"):
        assert (await mallory.get(path)).status_code == 404


async def test_the_link_confirms_and_the_account_shows_its_mail(app: App) -> None:
    alice = browser_of(app)
    ticket = await sign_up(alice)
    token, _ = await token_and_code(app, ticket)
    assert "alice@example.org" in await (await alice.get(f"/confirm/{token}")).get_data(as_text=True)
    answer = await alice.post(f"/confirm/{token}")
    assert answer.status_code == 303
    page = await (await alice.get(answer.headers["Location"])).get_data(as_text=True)
    assert "alice@example.org" in page
    assert f"/mails/{ticket}" in page
    again = await alice.get(f"/confirm/{token}")
    assert "Already confirmed" in await again.get_data(as_text=True)


async def test_on_a_phone_the_link_asks_for_the_password_and_the_first_page_hears_of_it(
    app: App,
) -> None:
    alice, phone = browser_of(app), browser_of(app)
    ticket = await sign_up(alice)
    token, _ = await token_and_code(app, ticket)
    assert (await phone.post(f"/confirm/{token}")).status_code == 422
    assert (await phone.post(f"/confirm/{token}", form={"password": PASSWORD})).status_code == 303
    body = json.loads(await (await alice.get(f"/api/v1/tasks/{ticket}")).get_data())
    assert body["afterword"] == "confirmed"
    page = await (await alice.get(f"/mails/{ticket}")).get_data(as_text=True)
    assert "Your address is confirmed" in page


async def test_the_page_of_a_mail_that_a_newer_one_replaced_leads_on(app: App) -> None:
    alice = browser_of(app)
    first = await sign_up(alice)
    assert await sign_up(alice) != first
    page = await (await alice.get(f"/mails/{first}")).get_data(as_text=True)
    assert "A newer mail replaces this one" in page
    assert 'href="/confirm">Go on with the newest mail' in page
    assert "Send it again" not in page
    assert json.loads(await (await alice.get(f"/api/v1/tasks/{first}")).get_data())["afterword"] == "replaced"


async def test_the_typed_code_confirms_where_it_was_asked_for(app: App) -> None:
    alice = browser_of(app)
    ticket = await sign_up(alice)
    _, code = await token_and_code(app, ticket)
    wrong = await alice.post("/confirm", form={"code": "2222-2222", "ticket": ticket})
    assert wrong.status_code == 422
    assert "you have 4 tries left" in await wrong.get_data(as_text=True)
    assert (await alice.post("/confirm", form={"code": code, "ticket": ticket})).status_code == 303


async def test_asking_again_at_once_is_too_soon(app: App) -> None:
    alice = browser_of(app)
    ticket = await sign_up(alice)
    answer = await alice.post(f"/mails/{ticket}/resend")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


async def test_signing_in_before_confirming_offers_the_mail_again(app: App) -> None:
    await sign_up(browser_of(app))
    elsewhere = browser_of(app)
    answer = await elsewhere.post("/sign-in", form=ALICE)
    assert answer.status_code == 422
    assert "not confirmed yet" in await answer.get_data(as_text=True)


async def test_a_weak_password_is_refused_with_the_reason_beside_it(app: App) -> None:
    answer = await browser_of(app).post("/sign-up", form={**ALICE, "password": "password"})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'id="password-wrong"' in page


ADDED = [".", ")", ">", ",", "=", "%E2%80%8B", ").", "%3E.", "%22", ";", "%E2%80%A6", "/", "%20"]


@pytest.mark.parametrize("added", ADDED)
async def test_links_of_mails_work_with_what_mail_programs_add_to_them(app: App, added: str) -> None:
    alice = browser_of(app)
    token, _ = await token_and_code(app, await sign_up(alice))
    page = await alice.get(f"/confirm/{token}{added}", follow_redirects=True)
    assert page.status_code == 200
    assert "alice@example.org" in await page.get_data(as_text=True)
    for link in ("/sign-in", "/sign-up", "/new-password", "/confirm"):
        assert (await alice.get(f"{link}{added}", follow_redirects=True)).status_code == 200, link
    assert (await alice.get(f"/nothing-here{added}")).status_code == 404
    confirmed = await alice.post(f"/confirm/{token}{added}")
    assert confirmed.status_code == 303


async def test_alice_changes_her_password_and_a_thief_s_change_is_undone_from_the_mailbox(app: App) -> None:
    alice, thief = browser_of(app), browser_of(app)
    token, _ = await token_and_code(app, await sign_up(alice))
    assert (await alice.post(f"/confirm/{token}")).status_code == 303
    wrong = await alice.post("/account/password", form={"current": "not this one, no", "password": "x" * 20})
    assert wrong.status_code == 422
    assert "This is not the present password" in await wrong.get_data(as_text=True)
    assert (await thief.post("/sign-in", form=ALICE)).status_code == 303
    stolen = {"current": PASSWORD, "password": "crooked umbrella borrows thunder", "end_others": "yes"}
    changed = await thief.post("/account/password", form=stolen)
    assert changed.headers["Location"] == "/account/security"
    said = "Your password is changed"
    first = await (await thief.get("/account/security")).get_data(as_text=True)
    assert said in first and "Password changed" in first
    assert said not in await (await thief.get("/account/security")).get_data(as_text=True), "a reload is no news"
    assert (await alice.get("/account")).status_code == 303, "signed out"

    services = part_of(app.app, Services)
    async with services.database.begin() as work:
        told = "select mail_id from account_events where mail_id is not null"
        notice = (await work.session.execute(text(told))).scalar_one()
        mail = await services.outbox.find(work, notice)
    assert mail and mail.nonce
    link = f"/not-me/{Tokens([SECRET_KEY]).token(mail.id, mail.nonce, NOT_ME)}"
    page = await alice.get(link)
    assert "alice@example.org" in await page.get_data(as_text=True)
    assert page.headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
    assert (await thief.get("/account")).status_code == 200, "looking changes nothing"
    secured = await alice.post(link)
    assert secured.headers["Location"].startswith("/mails/")
    assert (await thief.get("/account")).status_code == 303
    again = await alice.post(link)
    assert again.status_code == 410


async def test_signing_out_everywhere_else_leaves_this_browser(app: App) -> None:
    laptop, phone = browser_of(app), browser_of(app)
    token, _ = await token_and_code(app, await sign_up(laptop))
    await laptop.post(f"/confirm/{token}")
    await phone.post("/sign-in", form=ALICE)
    assert (await phone.post("/account/sessions/end-others")).status_code == 303
    assert (await phone.get("/account/security")).status_code == 200
    assert (await laptop.get("/account/security")).status_code == 303
    for path in ("/account/security", "/account/password"):
        assert (await browser_of(app).get(path)).headers["Location"].startswith("/sign-in?next=")


async def test_alice_moves_to_another_address_and_only_a_browser_that_is_hers_confirms_it(app: App) -> None:
    alice, stranger = browser_of(app), browser_of(app)
    token, _ = await token_and_code(app, await sign_up(alice))
    await alice.post(f"/confirm/{token}")
    wrong = await alice.post("/account/address", form={"email": "alice@example.org", "current": PASSWORD})
    assert wrong.status_code == 422 and "already" in await wrong.get_data(as_text=True)
    asked = await alice.post("/account/address", form={"email": "alice@new.example", "current": PASSWORD})
    ticket = asked.headers["Location"].rpartition("/")[2]
    assert "alice@new.example" in await (await alice.get(f"/mails/{ticket}")).get_data(as_text=True)
    mail_id = parse_id(ticket)
    services = part_of(app.app, Services)
    assert mail_id
    async with services.database.begin() as work:
        mail = await services.outbox.find(work, mail_id)
    assert mail and mail.nonce
    link = f"/new-address/{Tokens([SECRET_KEY]).token(mail.id, mail.nonce, NEW_ADDRESS)}"
    for method in (stranger.get, stranger.post):
        assert (await method(link)).status_code == 403
    page = await alice.get(link)
    assert "alice@new.example" in await page.get_data(as_text=True)
    assert (await alice.post(link)).headers["Location"] == "/account/security"
    assert "alice@new.example" in await (await alice.get("/account")).get_data(as_text=True)
    assert (await alice.post(link)).status_code == 410
