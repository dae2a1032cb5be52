"""What was typed is not lost where a form cannot be taken just now."""

import pytest
from quart.typing import TestClientProtocol as Client

from mailroom.kit.errors import Overloaded, Unavailable
from mailroom.web.forms.fields import Form
from mailroom.web.forms.sent_again import SECRET
from tests.unit.web.fakes import PASSWORD, World

LONGEST_SECRET = 1000

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
    assert (
        answer.status_code == 403
        and "<form" not in (await answer.get_data(as_text=True)).split("<footer")[0].split("<main")[1]
    )


def forms(kind: type[Form] = Form) -> list[type[Form]]:
    return [kind, *(found for inner in kind.__subclasses__() for found in forms(inner))]


def test_no_secret_of_any_form_is_written_into_a_page() -> None:
    secrets = {
        name
        for form in forms()
        for name, field in form.model_fields.items()
        if any(getattr(one, "max_length", None) == LONGEST_SECRET for one in field.metadata)
    }
    assert {"password", "current"} <= secrets
    assert all(SECRET.search(name) for name in secrets), secrets
    assert not SECRET.search("email") and not SECRET.search("ticket")


async def test_a_code_and_the_present_password_come_back_empty(browser: Client) -> None:
    for _ in range(22):
        answer = await browser.post("/confirm", form={"code": "ABCD2345", "ticket": "x", "current": "the old one"})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 429 and 'name="ticket" value="x"' in page
    assert "ABCD2345" not in page and "the old one" not in page
    assert 'name="code"' in page and 'name="current"' in page
