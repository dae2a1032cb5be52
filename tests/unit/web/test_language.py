"""Which language a page is in: a member's, the one chosen at its foot, or the browser's."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from quart.typing import TestClientProtocol as Client

from mailroom.accounts.views import Session
from mailroom.i18n.languages import speaking
from mailroom.i18n.messages import gettext
from tests.unit.web.fakes import World

As = Callable[[Session], Client]


async def language_of(client: Client, path: str = "/", **headers: str) -> str | None:
    return (await client.get(path, headers=headers)).headers["Content-Language"]


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("zh-CN,zh;q=0.9", "zh-Hans"),
        ("zh-SG", "zh-Hans"),
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("fr,de;q=0.5", "de"),
        ("en-GB,de;q=0.5", "en"),
        ("*", "en"),
    ],
)
async def test_a_browser_is_answered_in_the_language_it_asks_for(browser: Client, asked: str, spoken: str) -> None:
    assert await language_of(browser, **{"Accept-Language": asked}) == spoken


async def test_a_visitor_chooses_at_the_foot_of_the_page_and_comes_back_to_it(browser: Client) -> None:
    answer = await browser.post("/language", form={"language": "de", "next": "/sign-in?next=/tasks"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?next=/tasks")
    assert "HttpOnly" in answer.headers["Set-Cookie"] and "SameSite=Lax" in answer.headers["Set-Cookie"]
    page = await (await browser.get("/sign-in", headers={"Accept-Language": "zh-CN"})).get_data(as_text=True)
    assert '<html lang="de" dir="ltr"' in page and 'value="de" lang="de" aria-current="true">Deutsch<' in page
    # What the browser asks for anyway is not kept.
    answer = await browser.post("/language", form={"language": "en"}, headers={"Accept-Language": "en"})
    assert "mailroom-language=;" in answer.headers["Set-Cookie"]
    assert await language_of(browser) == "en"


async def test_the_choice_leads_to_no_other_site_and_keeps_no_nonsense(browser: Client) -> None:
    for elsewhere in (
        "https://mallory.example/",
        "//mallory.example",
        "/\\mallory.example",
        "",
        "/nowhere/at/all",
    ):
        answer = await browser.post("/language", form={"language": "de", "next": elsewhere})
        assert answer.headers["Location"] == "/"
    answer = await browser.post("/language", form={"language": "../../etc", "next": "/sign-up"})
    assert answer.headers["Location"] == "/sign-up" and "Set-Cookie" not in answer.headers
    answer = await browser.post(
        "/language", form={"language": "de"}, headers={"Origin": "https://mallory.example"}
    )
    assert answer.status_code == 403


async def test_what_a_member_has_chosen_goes_before_the_browser_also_on_pages_of_errors(
    as_: As, alice: Session, world: World
) -> None:
    assert alice.account
    account = replace(alice.account, language="de", time_zone="Europe/Berlin")
    secret = next(key for key, one in world.sessions.items() if one.id == alice.id)
    world.sessions[secret] = replace(alice, account=account)
    client = as_(world.sessions[secret])
    client.set_cookie("localhost", "mailroom-language", "zh-Hans")
    for path in ("/account", "/nowhere", "/tasks"):
        assert await language_of(client, path) == "de", path
    page = await (await client.get("/nowhere")).get_data(as_text=True)
    assert "Mailroom has no page" not in page and "no page at this" not in page
    # The form at the foot changes the account.
    await client.post("/language", form={"language": "zh-Hans"})
    assert world.languages == {account.id: "zh-Hans"}


async def test_what_comes_live_is_in_the_language_of_the_member_not_of_the_browser(
    as_: As, alice: Session, world: World
) -> None:
    assert alice.account
    secret = next(key for key, one in world.sessions.items() if one.id == alice.id)
    world.sessions[secret] = replace(alice, account=replace(alice.account, language="de"))
    client = as_(world.sessions[secret])
    async with client.websocket("/live?view=1", headers={"Accept-Language": "zh-CN"}) as live:
        await live.send(json.dumps({"watch": ["nobody's"]}))
        told = json.loads(await live.receive())
    with speaking("de"):
        assert told["message"] == gettext("This task does not exist, or it is not yours.")


async def test_other_programs_pages_name_their_language_and_no_cookie_counts(browser: Client) -> None:
    browser.set_cookie("localhost", "mailroom-language", "zh-Hans")
    headers = {"Accept-Language": "en"}
    answer = await browser.get("/embed/nothing?lang=de-CH", headers=headers)
    assert '<html lang="de"' in await answer.get_data(as_text=True)
    answer = await browser.get("/embed/nothing", headers=headers)
    assert '<html lang="en"' in await answer.get_data(as_text=True)
