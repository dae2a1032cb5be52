import inspect
import json
import logging
from collections.abc import Callable

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from mailroom.accounts import errors as accounts
from mailroom.accounts.sign_up import errors as joining
from mailroom.i18n.formats import duration
from mailroom.kit.errors import MailroomError
from mailroom.web.error_table import TABLE
from mailroom.web.errors import answer_for
from tests.unit.web import fakes
from tests.unit.web.fakes import World


def test_every_error_of_accounts_has_its_own_answer() -> None:
    bases = {accounts.AccountError, accounts.TokenError}
    never_asked = {accounts.UnknownAccount}  # the shell's
    in_forms = {accounts.InvalidAddress, accounts.WeakPassword, accounts.TooLong}  # beside their field
    for _, kind in (*inspect.getmembers(accounts, inspect.isclass), *inspect.getmembers(joining, inspect.isclass)):
        if issubclass(kind, MailroomError) and kind not in bases | never_asked | in_forms:
            assert kind is MailroomError or kind in TABLE, kind.__name__


def test_every_answer_says_what_and_has_a_way_on() -> None:
    for kind, answer in TABLE.items():
        assert answer.title, kind
        assert answer.way[0], kind
        assert 400 <= answer.status < 600, kind


def test_the_nearest_class_answers() -> None:
    class Newer(accounts.ExpiredToken):
        pass

    assert answer_for(Newer()) is TABLE[accounts.ExpiredToken]
    assert answer_for(RuntimeError()) is TABLE[500]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 second"), (1, "1 second"), (59.6, "60 seconds"), (100, "2 minutes")]
)
def test_waits_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


async def test_a_page_that_is_not_there_has_a_way_on(browser: Client) -> None:
    answer = await browser.get("/nothing", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert 'class="button" href="/"' in await answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "headers", [{"Accept": "application/json"}, {"Accept": "application/problem+json, text/html;q=0.5"}]
)
async def test_a_program_gets_a_problem(browser: Client, headers: dict[str, str]) -> None:
    answer = await browser.get("/nothing", headers=headers)
    assert answer.content_type == "application/problem+json"
    body = json.loads(await answer.get_data())
    assert (body["status"], body["title"]) == (404, "Page not found")


async def test_the_wrong_method_says_which_are_right(browser: Client) -> None:
    answer = await browser.get("/sign-out")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


async def test_a_form_that_is_too_large_is_refused(browser: Client) -> None:
    answer = await browser.post("/sign-up", form={"email": "a" * 100_000, "password": "b"})
    assert answer.status_code == 413
    assert "at most 64 KB" in await answer.get_data(as_text=True)


async def test_with_the_database_away_every_page_says_so_and_when_to_come_back(
    browser: Client, world: World
) -> None:
    world.database_away = True
    browser.set_cookie("localhost", "mailroom", "some-secret")
    answer = await browser.get("/account")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert "database cannot be reached" in page
    assert 'href="/account"' in page


async def test_a_bug_is_noted_and_nothing_of_it_is_shown(app: Quart, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/broken")
    async def broken() -> str:
        raise RuntimeError("the secret of the house")

    with caplog.at_level(logging.ERROR):
        answer = await app.test_client().get("/broken")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert "Something went wrong on our side" in page
    assert "secret of the house" not in page
    assert "a request failed" in caplog.text


async def test_the_way_back_from_a_failed_form_is_a_page_that_opens(browser: Client) -> None:
    answer = await browser.post(f"/mails/{fakes.new_id()}/resend")
    assert answer.status_code == 404
    for _ in range(70):
        answer = await browser.post("/account/sessions/x/end")
    assert answer.status_code == 429
    assert 'class="button" href="/account/sessions"' in await answer.get_data(as_text=True)


async def test_a_websocket_to_nowhere_is_refused_with_a_status(make_app: Callable[..., Quart]) -> None:
    from quart.testing.connections import WebsocketResponseError

    with pytest.raises(WebsocketResponseError) as refused:
        async with make_app().test_client().websocket("/nowhere") as socket:
            await socket.receive()
    assert refused.value.response.status_code == 404
