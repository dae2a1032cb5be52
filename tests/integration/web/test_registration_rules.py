"""Signing up by invitation in the browser, and what keeps robots out; the desk invites and revokes."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from quart.typing import TestClientProtocol as Client
from sqlalchemy import text

from mailroom.accounts.tokens import INVITATION, Tokens
from mailroom.bootstrap.web import create_web
from mailroom.kit import clock
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.parts import part_of
from tests.conftest import SECRET_KEY
from tests.integration.web.test_desk import audit, with_role
from tests.integration.web.test_task_pages import PASSWORD, House

ALICE, BOB = "alice@example.org", "bob@example.org"
NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}


async def house_under(settings: Settings, **changes: object) -> AsyncIterator[House]:
    changed = settings.model_copy(update={"public_url": "http://localhost", **changes})
    async with create_web(changed).test_app() as app:
        yield House(app, part_of(app.app, Services))


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async for house in house_under(settings):
        yield house


@pytest.fixture
async def invited_only(settings: Settings) -> AsyncIterator[House]:
    async for house in house_under(settings, registration="invite"):
        yield house


async def link_of(house: House, mail_id: str) -> str:
    async with house.services.database.begin() as work:
        query = text("select id, nonce from mails where id = cast(:id as uuid)")
        row = (await work.session.execute(query, {"id": mail_id})).one()
    return f"/invited/{Tokens([SECRET_KEY]).token(row.id, row.nonce, INVITATION)}"


async def text_of(browser: Client, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status_code == status
    return await answer.get_data(as_text=True)


async def test_the_desk_invites_watches_and_revokes(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    victor = await with_role(house, "victor@example.org", "viewer")
    sent = await olga.browser.post("/desk/invitations", form={"email": ALICE})
    assert sent.headers["Location"].startswith("/mails/")
    assert ALICE in await olga.get(sent.headers["Location"])
    assert ALICE in await olga.get("/desk/invitations")
    listed = await victor.get("/desk/invitations")
    assert "a…@example.org" in listed and ALICE not in listed and 'action="/desk' not in listed
    known = await olga.browser.post("/desk/invitations", form={"email": "victor@example.org"})
    assert known.status_code == 422
    link = await link_of(house, sent.headers["Location"].rpartition("/")[2])
    stranger = house.app.test_client()
    assert ALICE in await text_of(stranger, link)
    async with house.services.database.begin() as work:
        [made] = await house.services.invitations.list(work)
    for _ in range(2):
        assert (await olga.browser.post(f"/desk/invitations/{made.id}/revoke")).status_code == 303
    await text_of(stranger, link, 410)
    assert [act[0] for act in await audit(house)] == ["invitation.revoked", "invitation.created"]


async def test_where_only_invited_people_sign_up_every_address_gets_the_same_answer(invited_only: House) -> None:
    house, browser = invited_only, invited_only.app.test_client()
    assert "You need an invitation" in await text_of(browser, "/sign-up", 403)
    assert "/sign-up" not in await text_of(browser, "/")
    async with house.services.database.begin() as work:
        made = await house.services.invitations.create(work, ALICE)
    link = await link_of(house, str(made.mail_id))
    for _ in range(2):
        page = await text_of(browser, link)
    assert f'value="{ALICE}"' in page
    answers = set()
    for path, email in (("/sign-up", ALICE), ("/sign-up", BOB), ("/sign-up", "carol@example.org")):
        answer = await browser.post(path, form={"email": email, "password": PASSWORD})
        said = re.sub(r'data-now="[^"]*"', "", await answer.get_data(as_text=True))
        answers.add((answer.status_code, said))
    assert len(answers) == 1
    other = await browser.post(link, form={"email": BOB, "password": PASSWORD})
    assert other.status_code == 422 and "another address" in await other.get_data(as_text=True)
    taken = await browser.post(link, form={"email": ALICE, "password": PASSWORD})
    assert taken.headers["Location"].startswith("/mails/")
    assert taken.headers["Referrer-Policy"] == "no-referrer"


async def test_an_invitation_for_anyone_tells_nothing_of_the_addresses_typed(invited_only: House) -> None:
    house = invited_only
    async with house.services.database.begin() as work:
        made = await house.services.invitations.create(work, "carol@example.org", bound=False)
    link = await link_of(house, str(made.mail_id))
    first = await house.app.test_client().post(link, form={"email": ALICE, "password": PASSWORD})
    ticket = first.headers["Location"].rpartition("/")[2]
    async with house.services.database.begin() as work:
        mail = await house.services.outbox.find(work, UUID(ticket))
        assert mail and mail.nonce
        await work.session.execute(text("update invitations set used_at = null"))
    token = Tokens([SECRET_KEY]).token(mail.id, mail.nonce)
    confirmed = await house.app.test_client().post(f"/confirm/{token}", form={"password": PASSWORD})
    assert confirmed.status_code == 303
    async with house.services.database.begin() as work:
        await work.session.execute(text("update invitations set used_at = null"))
    seen = set()
    for email in (ALICE, BOB):  # one is a member's, one is nobody's
        browser = house.app.test_client()
        answer = await browser.post(link, form={"email": email, "password": PASSWORD})
        page = await text_of(browser, answer.headers["Location"])
        names = tuple(sorted(name for name, _ in answer.headers))
        cookies = tuple(cookie.partition("=")[0] for cookie in answer.headers.getlist("Set-Cookie"))
        plain = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d\d:\d\d(:\d\d)?|data-[a-z-]+=\"[^\"]*\"", "", page)
        plain = re.sub(r"\d{4}-\d\d-\d\dT[^\"<]*|alice|bob", "", plain)
        seen.add((answer.status_code, names, cookies, re.sub(r"\{[^{}]*\}", "", plain)))
    assert len(seen) == 1


async def test_a_robot_is_stopped_and_a_fast_person_passes_at_the_second_press(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async for house in house_under(settings, sign_up_seconds=2):
        browser, person = house.app.test_client(), {"email": ALICE, "password": PASSWORD}
        baited = await browser.post("/sign-up", form={**person, "website": "https://pills.example"})
        assert baited.status_code == 422 and "Leave this empty" in await baited.get_data(as_text=True)
        page = await text_of(browser, "/sign-up")
        begun = page.partition('name="begun" value="')[2].partition('"')[0]
        for stamp in (begun, begun[:-1] + ("A" if begun[-1] != "A" else "B"), ""):
            fast = await browser.post("/sign-up", form={**person, "begun": stamp}, headers=NAVIGATE)
            assert (fast.status_code, fast.headers["Location"]) == (303, "/sign-up"), "the form again"
        assert "press the button once more" in await text_of(browser, "/sign-up")
        later = clock.now() + timedelta(seconds=3)
        monkeypatch.setattr(clock, "now", partial(later.replace))
        slow = await browser.post("/sign-up", form={**person, "begun": begun}, headers=NAVIGATE)
        assert slow.headers["Location"].startswith("/mails/")
        program = await house.app.test_client().post("/sign-up", json={"email": BOB, "password": PASSWORD})
        assert program.headers["Location"].startswith("/mails/"), "a program has no form"
