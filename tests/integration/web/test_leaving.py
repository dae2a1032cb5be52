"""A member who is about to leave, in the browser: all that the account can do is to stay."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from mailroom.accounts.changes.deletion import DELETION
from mailroom.accounts.tokens import KEEP_ACCOUNT, Tokens
from mailroom.bootstrap.web import create_web
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.parts import part_of
from tests.conftest import SECRET_KEY
from tests.integration.web.test_task_pages import PASSWORD, House

ALICE = "alice@example.org"


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with create_web(settings.model_copy(update={"public_url": "http://localhost"})).test_app() as app:
        yield House(app, part_of(app.app, Services))


async def keep_path(house: House) -> str:
    async with house.services.database.begin() as work:
        row = (
            await work.session.execute(text("select id, nonce from mails where kind = :k"), {"k": DELETION})
        ).one()
    return f"/keep-account/{Tokens([SECRET_KEY]).token(row.id, row.nonce, KEEP_ACCOUNT)}"


async def test_who_leaves_can_only_stay_and_the_link_needs_no_sign_in(house: House) -> None:
    alice = await house.member(ALICE)
    assert "/account/delete" in await alice.get("/account/data")
    page = await alice.get("/account/delete")
    assert "What stays" in page and ALICE in page
    async with house.services.database.begin() as work:
        await work.session.execute(text("update sessions set verified_at = now() - interval '16 minutes'"))
    stale = await alice.browser.post("/account/delete")
    assert stale.headers["Location"].startswith("/account/confirm?intent="), "a cookie alone deletes nothing"
    confirmed = await alice.browser.post(stale.headers["Location"], form={"current": PASSWORD})
    assert confirmed.status_code == 303
    asked = await alice.browser.post("/account/delete")
    assert (asked.status_code, asked.headers["Location"]) == (303, "/account/delete")

    for path in ("/account", "/account/security", "/tasks", "/sign-in", "/sign-up", "/", "/new-password"):
        answer = await alice.browser.get(path)
        assert (answer.status_code, answer.headers.get("Location")) == (303, "/account/delete"), path
    for path in ("/account/export", "/account/password", "/account/address", "/account/sessions/end-others"):
        answer = await alice.browser.post(
            path, form={"current": PASSWORD, "password": PASSWORD, "email": "x@y.org"}
        )
        assert (answer.status_code, answer.headers.get("Location")) == (303, "/account/delete"), path
    assert "Keep my account" in await alice.get("/account/delete")

    link, stranger = await keep_path(house), house.app.test_client()
    shown = await stranger.get(link)
    assert shown.status_code == 200 and ALICE in await shown.get_data(as_text=True)
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    assert (await alice.browser.get("/account")).status_code == 303, "looking at the link changes nothing"
    kept = await stranger.post(link)
    assert kept.status_code == 303
    assert "Set-Cookie" not in kept.headers or "mailroom=" not in kept.headers["Set-Cookie"], (
        "signed in to nothing"
    )
    assert (await stranger.post(link)).status_code == 410
    assert ALICE in await alice.get("/account")


async def test_signed_out_and_back_in_the_owner_still_comes_to_the_way_back(house: House) -> None:
    alice = await house.member(ALICE)
    await alice.browser.post("/account/delete")
    assert (await alice.browser.post("/sign-out")).status_code == 303
    again = await alice.browser.post("/sign-in", form={"email": ALICE, "password": PASSWORD})
    assert again.status_code == 303
    assert (await alice.browser.get(again.headers["Location"])).headers["Location"] == "/account/delete"
    undone = await alice.browser.post("/account/delete/undo")
    assert undone.headers["Location"] == "/account"
    assert "Your account stays" in await alice.get("/account")
    assert "Deletion of the account undone" in await alice.get("/account/security")
