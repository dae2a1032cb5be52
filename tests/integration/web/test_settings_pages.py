"""The pages of one's own account over real services: settings, recent sign-in, and two steps by plain forms."""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pyotp
import pytest
from quart.typing import TestAppProtocol as App
from quart.typing import TestClientProtocol as Client
from sqlalchemy import text

from mailroom.accounts.tokens import NEW_PASSWORD, Tokens
from mailroom.bootstrap.web import create_web
from mailroom.kit import clock
from mailroom.kit.ids import parse_id
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.parts import part_of
from tests.conftest import SECRET_KEY

PASSWORD = "otter lamp quiet ferry window"
ALICE = {"email": "alice@example.org", "password": PASSWORD}
SECURITY, CODES, STEP = "/account/security", "/account/two-steps/codes", "/sign-in/second-step"


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    changes = {"public_url": "http://localhost", "two_step_for_operators": "required"}
    async with create_web(settings.model_copy(update=changes)).test_app() as running:
        yield running


async def run(app: App, sql: str) -> list[Any]:
    async with part_of(app.app, Services).database.begin() as work:
        result = await work.session.execute(text(sql))
        return list(result.all()) if result.returns_rows else []


async def mail_token(app: App, ticket: str, purpose: str | None = None) -> str:
    services, mail_id = part_of(app.app, Services), parse_id(ticket)
    assert mail_id
    async with services.database.begin() as work:
        mail = await services.outbox.find(work, mail_id)
    assert mail and mail.nonce
    tokens = Tokens([SECRET_KEY])
    return tokens.token(mail.id, mail.nonce, purpose) if purpose else tokens.token(mail.id, mail.nonce)


async def member(app: App) -> Client:
    alice = app.test_client()
    ticket = (await alice.post("/sign-up", form=ALICE)).headers["Location"].rpartition("/")[2]
    assert (await alice.post(f"/confirm/{await mail_token(app, ticket)}")).status_code == 303
    return alice


async def page_of(browser: Client, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.headers.get("Location"))
    return unescape(await answer.get_data(as_text=True))


async def went_to(answer: Any) -> str:
    assert answer.status_code == 303, await answer.get_data(as_text=True)
    return str(answer.headers["Location"])


async def turn_on(alice: Client) -> tuple[pyotp.TOTP, list[str]]:
    """Set two steps up as a person does; return the app and nine unused recovery codes."""
    app_page = "/account/two-steps/app"
    assert await went_to(await alice.post(app_page)) == app_page
    shown = await page_of(alice, app_page)
    assert 'src="data:image/svg+xml' in shown
    secret = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', shown)
    assert secret
    totp = pyotp.TOTP(secret[1].replace(" ", ""))
    wrong = await alice.post(f"{app_page}/prove", form={"step_code": "12345"})
    assert wrong.status_code == 422 and "wrong" in await wrong.get_data(as_text=True)
    code = totp.at(clock.now(), counter_offset=-1)
    assert await went_to(await alice.post(f"{app_page}/prove", form={"step_code": code})) == CODES
    assert "One thing is missing" in await page_of(alice, SECURITY)
    codes = re.findall(r"<code>([A-Z0-9-]{14})</code>", await (await alice.post(CODES)).get_data(as_text=True))
    assert len(codes) == 10 and not re.search(codes[0], await page_of(alice, CODES)), "they are shown once"
    assert await went_to(await alice.post(f"{CODES}/prove", form={"step_code": codes[0]})) == SECURITY
    return totp, codes[1:]


async def test_each_settings_page_marks_itself_and_saves_what_is_chosen(app: App) -> None:
    alice = await member(app)
    for name in ("profile", "security", "sessions", "notifications", "data"):
        marked = re.findall(
            r'<a href="(/account[^"]*)" aria-current="page"', await page_of(alice, f"/account/{name}")
        )
        assert marked == [f"/account/{name}"]
    chosen = {"name": " Alice  <b>A</b> ", "language": "en", "time_zone": "Asia/Tokyo"}
    assert await went_to(await alice.post("/account/profile", form=chosen)) == "/account/profile"
    shown = await page_of(alice, "/account/profile")
    assert "Your profile is saved" in shown and '<option value="Asia/Tokyo" selected>' in shown
    assert "<b>" not in (await (await alice.get("/account")).get_data(as_text=True))
    shown = await page_of(alice, SECURITY)
    assert 'data-time-zone="Asia/Tokyo"' in shown and " JST<" in shown and " UTC<" not in shown
    for wrong in ({"language": "xx"}, {"time_zone": "../../etc/passwd"}, {"name": "x" * 81}):
        assert (await alice.post("/account/profile", form={**chosen, **wrong})).status_code == 422
    assert await went_to(await alice.post("/account/notifications", form={"signed_in": "yes"}))
    shown = await page_of(alice, "/account/notifications")
    assert re.findall(r'name="(\w+)" value="yes" checked', shown) == ["signed_in"]


async def test_the_owner_hears_of_what_was_chosen_and_always_of_what_matters(app: App) -> None:
    alice = await member(app)

    async def told() -> list[str]:
        wanted = "select params ->> 'event' from mails where kind = 'security_notice' order by id"
        return [event for (event,) in await run(app, wanted)]

    await alice.post("/account/sessions/end-others")
    assert await told() == ["sessions_ended"]
    await alice.post("/account/notifications", form={"signed_in": "yes"})
    await alice.post("/account/sessions/end-others")
    await app.test_client().post("/sign-in", form=ALICE)
    [(other,)] = await run(app, "select id from sessions where account_id is not null order by id desc limit 1")
    await alice.post(f"/account/sessions/{other}/end")
    await alice.post("/account/export")
    assert await told() == ["sessions_ended", "signed_in"]
    await alice.post("/account/notifications", form={"exported": "yes", "session_ended": "yes"})
    await app.test_client().post("/sign-in", form=ALICE)
    [(other,)] = await run(app, "select id from sessions where account_id is not null order by id desc limit 1")
    await alice.post(f"/account/sessions/{other}/end")
    await run(app, "update tasks set state = 'done' where name is not null")
    await alice.post("/account/export")
    assert (await told())[2:] == ["session_ended", "exported"]
    history = await page_of(alice, SECURITY)
    assert "Export of the data asked for" in history and "Another browser signed out" in history


async def test_a_browser_stays_signed_in_where_that_is_wished_and_ends_with_itself_otherwise(app: App) -> None:
    laptop, library = await member(app), app.test_client()
    kept = await app.test_client().post("/sign-in", form={**ALICE, "keep": "yes"})
    assert "Max-Age=25" in kept.headers["Set-Cookie"]
    cookie = (await library.post("/sign-in", form=ALICE)).headers["Set-Cookie"]
    assert "Max-Age" not in cookie and "expires" not in cookie.lower()
    shown = await page_of(laptop, "/account/sessions")
    assert shown.count("Until the browser is closed") == 1 and shown.count(">this browser<") == 1
    assert re.search(r"<details[^>]*>\s*<summary>Place of last use</summary><p>IP address ", shown)
    await run(app, "update sessions set seen_at = now() - interval '2 minutes'")
    again = await library.get("/account")
    assert "Max-Age" not in again.headers["Set-Cookie"], "its cookie still ends with the browser"
    [(lasts,)] = await run(
        app, "select max(expires_at - now()) < interval '12.1 hours' from sessions where not kept"
    )
    assert lasts
    await run(
        app, "update sessions set created_at = now() - interval '23 hours', seen_at = now() - interval '1 hour'"
    )
    await library.get("/account")
    [(lasts,)] = await run(
        app, "select max(expires_at - now()) < interval '61 minutes' from sessions where not kept"
    )
    assert lasts, "a day at most, however often it is used"


async def test_who_it_is_is_asked_again_and_leads_back_to_what_was_wanted(app: App) -> None:
    alice = await member(app)
    await run(app, "update sessions set verified_at = now() - interval '16 minutes'")
    for path in ("/account/passkeys", "/account/two-steps/codes"):
        assert (await went_to(await alice.get(path))).startswith("/account/confirm?intent=")
    asked = await went_to(await alice.post("/account/notifications", form={"signed_in": "yes"}))
    intent = asked.partition("intent=")[2]
    shown = await page_of(alice, asked)
    assert f'name="intent" value="{intent}"' in shown and 'name="step_code"' not in shown
    wrong = await alice.post("/account/confirm", form={"current": "not this one", "intent": intent})
    assert wrong.status_code == 422
    again = await went_to(await alice.post("/account/confirm", form={"current": PASSWORD, "intent": intent}))
    assert again.startswith("/account/confirm/again?intent=")
    assert await run(app, "select 1 from accounts where notices is not null") == [], "nothing without a press"
    shown = await page_of(alice, again)
    assert 'action="/account/notifications"' in shown and 'name="signed_in" value="yes"' in shown
    assert await went_to(await alice.post("/account/notifications", form={"signed_in": "yes"}))
    assert await run(app, "select notices from accounts") == [(["signed_in"],)]


async def test_programs_are_told_and_no_stranger_s_wish_is_granted(app: App) -> None:
    alice, bob = await member(app), app.test_client()
    ticket = (await bob.post("/sign-up", form={**ALICE, "email": "bob@example.org"})).headers["Location"]
    await bob.post(f"/confirm/{await mail_token(app, ticket.rpartition('/')[2])}")
    await run(app, "update sessions set verified_at = null")
    answer = await alice.post("/account/two-steps/off", headers={"Accept": "application/json"})
    assert answer.status_code == 403 and (await answer.get_json())["title"] == "Please confirm that it is you"
    bobs = (await went_to(await bob.post("/account/two-steps/off"))).partition("intent=")[2]
    for foreign in (bobs, "", "x", bobs[:-2]):
        answer = await alice.post("/account/confirm", form={"current": PASSWORD, "intent": foreign})
        assert await went_to(answer) == SECURITY
        await run(app, "update sessions set verified_at = null")
    secret = await went_to(await alice.post("/account/two-steps/app/prove", form={"step_code": "123456"}))
    assert (
        await went_to(
            await alice.post(
                "/account/confirm", form={"current": PASSWORD, "intent": secret.partition("intent=")[2]}
            )
        )
        == "/account/two-steps/app"
    ), "a code is not kept: its page is shown again"


async def test_two_steps_by_plain_forms_and_the_way_on_after_signing_in(app: App) -> None:
    alice = await member(app)
    totp, codes = await turn_on(alice)
    shown = await page_of(alice, SECURITY)
    assert "Signing in takes two steps now" in shown and "9 codes are left" in shown
    phone = app.test_client()
    assert await went_to(await phone.get(STEP)) == "/sign-in"
    assert await went_to(await phone.post("/sign-in", form={**ALICE, "next": "/tasks"})) == f"{STEP}?next=/tasks"
    assert (await phone.get("/account")).status_code == 303
    shown = await page_of(phone, f"{STEP}?next=/tasks")
    assert 'name="next" value="/tasks"' in shown
    stranger = app.test_client()
    code = totp.at(clock.now())
    assert (await stranger.post(STEP, form={"step_code": code})).status_code == 410
    wrong = await phone.post(STEP, form={"step_code": "no code"})
    assert wrong.status_code == 422 and "This is no code" in await wrong.get_data(as_text=True)
    assert await went_to(await phone.post(STEP, form={"step_code": code, "next": "/tasks"})) == "/tasks"
    assert (await phone.get("/account")).status_code == 200
    evil = app.test_client()
    await evil.post("/sign-in", form=ALICE)
    form = {"step_code": codes[0], "next": "//mallory.example"}
    assert await went_to(await evil.post(STEP, form=form)) == "/account"


async def test_a_new_password_by_mail_leads_to_the_second_step(app: App) -> None:
    alice = await member(app)
    _, codes = await turn_on(alice)
    browser = app.test_client()
    ticket = (await browser.post("/new-password", form=ALICE)).headers["Location"].rpartition("/")[2]
    link = f"/new-password/{await mail_token(app, ticket, NEW_PASSWORD)}"
    assert await went_to(await browser.post(link, form={"password": "eleven patient herons count rain"})) == STEP
    assert "Your password is changed" in await page_of(browser, STEP)
    assert (await browser.get("/account")).status_code == 303
    assert await went_to(await browser.post(STEP, form={"step_code": codes[0]})) == "/account"


async def test_an_operator_s_role_waits_for_two_steps_where_they_are_required(app: App) -> None:
    olga = await member(app)
    await run(app, "update accounts set is_operator = true, role = 'operator'")
    assert await went_to(await olga.get("/desk")) == SECURITY
    assert (await olga.post("/desk/keys")).status_code == 404
    assert "Set up two steps to use your role" in await page_of(olga, "/account")
    assert 'href="/desk"' not in await page_of(olga, "/account")
    await turn_on(olga)
    assert (await olga.get("/desk", follow_redirects=True)).status_code == 200
    assert 'href="/desk"' in await page_of(olga, "/account")


async def test_a_wish_that_cannot_be_read_is_refused_as_everywhere(app: App) -> None:
    alice = await member(app)
    await run(app, "update sessions set verified_at = null")
    answer = await alice.post("/account/export", form={"a": "b"}, headers={"Content-Encoding": "13"})
    assert answer.status_code == 415
