"""What a page is drawn with, and what its script writes later, is one view."""

import json
import re
from collections.abc import Callable

import pytest
from quart.typing import TestClientProtocol as Client

from mailroom.accounts.views import Session
from mailroom.i18n import languages
from mailroom.kit.ids import new_id
from mailroom.progress.snapshot import Snapshot
from mailroom.tasks.tickets import TicketOwner
from mailroom.web.live.socket import _encode
from mailroom.web.views import words
from mailroom.web.views.view_data import view_data
from tests.unit.web.fakes import World

As = Callable[[Session], Client]
AT = "2026-11-24T12:00:05.000+00:00"
MAIL = {
    "state": "retrying",
    "attempt": 2,
    "retry_at": AT,
    "error": {"code": 451, "enhanced": "4.7.1", "answer": "4.7.1 later", "message": "Later.", "since": AT},
    "timeline": ({"stage": "queued", "at": AT, "attempt": 0}, {"stage": "claimed", "at": AT, "attempt": 2}),
}


async def test_the_page_is_drawn_with_what_its_script_writes_later(as_: As, alice: Session, world: World) -> None:
    ticket = str(world.put_mail(alice, **MAIL))
    page = await (await as_(alice).get(f"/mails/{ticket}")).get_data(as_text=True)
    answer = await as_(alice).get(f"/api/v1/tasks/{ticket}?view=1")
    view = json.loads(await answer.get_data())["view"]
    assert view["texts"]["code"] == "451 4.7.1"
    assert view["texts"]["answer"] == "later", "the enhanced code stands beside it"
    for part in ("headline", "detail", "code", "answer"):
        assert f'data-part="{part}">{view["texts"][part]}<' in page, part
    assert [step["status"] for step in view["steps"]] == re.findall(r'data-status="(\w+)"', page)
    for step in view["steps"]:
        assert f'data-part="standing">{step["standing"]}<' in page
    assert f'value="{view["share"]}"' in page
    assert view["history"][0]["attempt"] == "attempt 2"
    assert f"<title>{view['tab']} · Mailroom" in page


async def test_programs_are_not_sent_what_pages_write(as_: As, alice: Session, world: World) -> None:
    ticket = world.put_mail(alice)
    assert "view" not in json.loads(await (await as_(alice).get(f"/api/v1/tasks/{ticket}")).get_data())


@pytest.mark.parametrize(("holder", "headline"), [(TicketOwner(None, None), "mail"), (None, None)])
def test_only_a_page_that_asked_for_it_is_sent_what_to_write(
    holder: TicketOwner | None, headline: str | None
) -> None:
    snapshot = Snapshot(new_id(), "failed", final=True)
    told = json.loads(_encode(snapshot, owner=True, view_of=holder))
    assert told["state"] == "failed"
    assert ("view" in told) is (headline is not None)
    task = json.loads(_encode(snapshot, owner=True, view_of=TicketOwner(None, None, is_mail=False)))
    assert task["view"]["texts"]["headline"] == "The task failed", "one snapshot, an encoding for each audience"


def test_a_view_is_in_the_language_of_whoever_looks(pseudo: str) -> None:
    public = {"task": "t", "state": "queued", "final": False}
    with languages.speaking(pseudo):
        assert view_data(public, is_mail=True)["texts"]["headline"] == "⟦Waiting for a worker⟧"
        assert words.page_words()["lines"]["offline"].startswith("⟦")
    assert view_data(public, is_mail=False)["texts"]["headline"] == "Waiting for a worker"
