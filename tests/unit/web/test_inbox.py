import json
from collections.abc import Callable
from pathlib import Path

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from mailroom.web.pages.inbox import with_target
from tests.unit.web import fakes

HTML = "<!doctype html><html><head><title>x</title></head><body><a href='http://localhost/'>go</a></body></html>"


@pytest.fixture
def inbox(make_app: Callable[..., Quart], tmp_path: Path) -> Client:
    return make_app(mailroom_inbox=tmp_path).test_client()


async def test_elsewhere_there_is_no_inbox(browser: Client) -> None:
    for path in ("/inbox", "/inbox/api/messages"):
        assert (await browser.get(path)).status_code == 404
    assert "/inbox" not in await (await browser.get("/")).get_data(as_text=True)


async def test_an_empty_inbox_says_how_to_fill_it(inbox: Client) -> None:
    page = await (await inbox.get("/inbox")).get_data(as_text=True)
    assert "No mail yet" in page
    assert 'class="empty sheet"' in page


async def test_the_messages_to_an_address_come_as_json(inbox: Client, tmp_path: Path) -> None:
    older = fakes.put_in_inbox(tmp_path, html=HTML, subject="One")
    newer = fakes.put_in_inbox(tmp_path, html=HTML, subject="Two")
    body = json.loads(await (await inbox.get("/inbox/api/messages?to=Alice@example.org")).get_data())
    assert [message["id"] for message in body] == [newer, older]
    assert set(body[0]) == {"id", "from", "to", "subject", "text", "html", "received_at"}
    body = json.loads(await (await inbox.get("/inbox/api/messages?to=bob@example.org")).get_data())
    assert body == []
    body = json.loads(await (await inbox.get("/inbox/api/messages?limit=1")).get_data())
    assert [message["id"] for message in body] == [newer]


async def test_asking_again_with_nothing_new_costs_little(inbox: Client, tmp_path: Path) -> None:
    fakes.put_in_inbox(tmp_path, html=HTML)
    first = await inbox.get("/inbox/api/messages")
    again = await inbox.get("/inbox/api/messages", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


async def test_a_message_shows_its_html_in_a_cage(inbox: Client, tmp_path: Path) -> None:
    message = fakes.put_in_inbox(tmp_path, html=HTML)
    page = await (await inbox.get(f"/inbox/{message}")).get_data(as_text=True)
    assert (
        f'src="/inbox/{message}/html" sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"'
        in page
    )
    assert 'href="http://localhost/confirm/right-token"' in page  # the text's link can be clicked
    cage = await inbox.get(f"/inbox/{message}/html")
    policy = cage.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox;")
    assert "allow-scripts" not in policy
    assert "allow-scripts" not in page
    assert "default-src 'none'" in policy
    assert cage.headers["X-Frame-Options"] == "SAMEORIGIN"


async def test_the_source_is_plain_text(inbox: Client, tmp_path: Path) -> None:
    message = fakes.put_in_inbox(tmp_path, html=HTML)
    answer = await inbox.get(f"/inbox/{message}/source")
    assert answer.content_type == "text/plain; charset=utf-8"
    assert "MIME-Version: 1.0" in await answer.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/inbox/nope", "/inbox/nope/html", "/inbox/nope/source", "/inbox/..%2f..%2fx"])
async def test_a_message_that_is_not_there_is_not_found(inbox: Client, path: str) -> None:
    assert (await inbox.get(path)).status_code == 404


def test_links_of_a_mail_open_in_a_new_tab() -> None:
    assert with_target(HTML).startswith('<!doctype html><html><head><base target="_blank"><title>')
    assert with_target("<p>hi") == '<base target="_blank"><p>hi'
