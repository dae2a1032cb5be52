"""Every page in a language in which each marked sentence stands in brackets: what does not was not marked."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from quart.typing import TestClientProtocol as Client

from mailroom.accounts import errors
from mailroom.accounts.views import Session
from mailroom.kit.ids import new_id
from tests.page_texts import left_over
from tests.unit.web.fakes import TOKEN, World

As = Callable[[Session], Client]
NAMES = re.compile(
    r"Mailroom|English|Esperanto|\S+@\S+|Chrome"
    r"|Firefox( \d+)?|Linux|UTC|BCDF-2345|localhost\S*|(\d+ )?[A-Z][a-z]{2} \d{4}"
)
"""What is the same in every language, or written by Babel."""


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/sign-up", "/sign-in?next=/tasks", "/confirm", f"/confirm/{TOKEN}", "/confirm/wrong"),
        *(
            "/new-password",
            f"/new-password/{TOKEN}",
            "/nowhere",
            "/mails/0192f0c1-0000-7000-8000-000000000001",
            "/tasks/x",
        ),
    ],
)
async def test_every_page_for_visitors_is_translated(
    browser: Client, path: str, pseudo: str, unmarked: Callable[[str], list[str]]
) -> None:
    answer = await browser.get(path, headers={"Accept-Language": f"{pseudo}, en;q=0.5"})
    page = await answer.get_data(as_text=True)
    assert f'<html lang="{pseudo}"' in page
    assert answer.headers["Content-Language"] == pseudo
    assert left_over(page, unmarked, NAMES) == []


@pytest.mark.parametrize(
    "state", ["queued", "sending", "sent", "retrying", "failed", "uncertain", "expired", "cancelled"]
)
async def test_every_state_of_a_mail_is_translated(
    as_: As, alice: Session, world: World, state: str, pseudo: str, unmarked: Callable[[str], list[str]]
) -> None:
    at = "2026-11-24T12:00:05.000+00:00"
    timeline = ({"stage": "queued", "at": at, "attempt": 0}, {"stage": "claimed", "at": at, "attempt": 2})
    error = (
        {"reason": "refused", "message_code": "mail.refused", "since": at}
        if state in {"failed", "retrying"}
        else None
    )
    ticket = world.put_mail(alice, state=state, stage="claimed", attempt=2, timeline=timeline, error=error)
    page = await (await as_(alice).get(f"/mails/{ticket}", headers={"Accept-Language": pseudo})).get_data(
        as_text=True
    )
    assert left_over(page, unmarked, NAMES) == []


async def test_the_account_is_translated(
    as_: As, alice: Session, world: World, pseudo: str, unmarked: Callable[[str], list[str]]
) -> None:
    world.sessions["another"] = replace(alice, id=new_id())
    world.put_mail(alice, state="sent")
    client = as_(alice)
    client.set_cookie("localhost", "mailroom-notice", "welcome")
    answer = await client.get("/account", headers={"Accept-Language": pseudo})
    assert left_over(await answer.get_data(as_text=True), unmarked, NAMES) == []


async def test_what_is_wrong_with_a_form_is_translated(
    browser: Client, world: World, pseudo: str, unmarked: Callable[[str], list[str]]
) -> None:
    headers = {"Accept-Language": pseudo}
    for path, form in (
        ("/sign-up", {}),
        ("/sign-in", {"email": "x" * 400}),
        ("/new-password", {}),
        ("/confirm", {}),
    ):
        page = await (await browser.post(path, form=form, headers=headers)).get_data(as_text=True)
        assert left_over(page, unmarked, NAMES) == [], path
    form = {"email": "alice@example.org", "password": "otter lamp quiet ferry"}
    for error in (
        errors.TooSoon(600),
        errors.UnknownSignUp(),
        errors.AlreadyConfirmed(),
        errors.WrongCredentials(),
    ):
        world.raises = error
        page = await (await browser.post("/sign-in", form=form, headers=headers)).get_data(as_text=True)
        assert left_over(page, unmarked, NAMES) == [], error
