"""What was typed is not lost where a form cannot be taken just now."""

import pytest
from quart.typing import TestClientProtocol as Client

from mailroom.kit.errors import Overloaded, Unavailable
from tests.unit.web.fakes import PASSWORD, World

FORM = {"email": 'alice"<b>@example.org', "password": PASSWORD}


@pytest.mark.parametrize("error", [Overloaded(3), Unavailable()])
@pytest.mark.parametrize("path", ["/sign-up", "/sign-in", "/new-password"])
async def test_a_form_that_cannot_be_taken_now_comes_back_as_it_was_sent(
    browser: Client, world: World, path: str, error: Exception
) -> None:
    world.raises = error
    answer = await browser.post(path, form=FORM)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == ("3" if isinstance(error, Overloaded) else "10")
    assert f'<form class="sheet" method="post" action="{path}">' in page
    assert 'name="email" value="alice&#34;&lt;b&gt;@example.org"' in page
    assert PASSWORD not in page and 'type="password"' in page


async def test_a_form_that_came_too_fast_comes_back_too(browser: Client) -> None:
    for _ in range(11):
        answer = await browser.post("/sign-in", form={"email": "alice@example.org", "password": "wrong"})
    assert answer.status_code == 429
    assert 'value="alice@example.org"' in await answer.get_data(as_text=True)


async def test_a_program_gets_its_problem_and_no_form(browser: Client, world: World) -> None:
    world.raises = Overloaded(3)
    answer = await browser.post("/sign-up", json=FORM)
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "3"
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_form_from_another_site_does_not_come_back(browser: Client) -> None:
    answer = await browser.post("/sign-up", form=FORM, headers={"Origin": "https://mallory.example"})
    assert answer.status_code == 403 and "<form" not in (await answer.get_data(as_text=True)).split("<main")[1]
