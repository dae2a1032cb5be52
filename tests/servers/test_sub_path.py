"""The whole journey behind nginx under a path of a host: by HTTP, and in Chromium, which complains of nothing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright
from websockets.sync.client import connect

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.people import People, expect_signed_in, expect_state, mail_to
from tests.journeys.conftest import key_for
from tests.journeys.people import PASSWORD
from tests.servers.conftest import Certificate
from tests.servers.nginx import Front, mailroom_behind
from tests.sink import wait_for

pytestmark = pytest.mark.servers


@pytest.fixture(params=["passed on", "taken off"])
def front(
    request: pytest.FixtureRequest, environment: dict[str, str], certificate: Certificate, tmp_path: Path
) -> Iterator[Front]:
    takes_off = request.param == "taken off"
    with mailroom_behind(tmp_path, certificate, environment, path="/post", takes_off=takes_off) as front:
        yield front


def person(front: Front) -> httpx.Client:
    host = front.url.removesuffix("/post")
    same = {"Origin": host, "Sec-Fetch-Site": "same-origin"}
    return httpx.Client(base_url=host, verify=front.trust, headers=same, timeout=60)


def test_a_person_signs_up_watches_and_confirms_and_a_program_sends(front: Front) -> None:
    with person(front) as alice:
        assert alice.get("/").status_code == 404, "the host's other sites"
        answer = alice.post("/post/sign-up", data={"email": "alice@example.org", "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        place = answer.headers["Location"]
        assert place.startswith("/post/mails/")
        assert alice.get(place).status_code == 200
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in alice.cookies.jar)
        with connect(
            f"{front.url.replace('https', 'wss')}/live",
            ssl=front.trust,
            origin=front.url.removesuffix("/post"),  # type: ignore[arg-type]
            additional_headers={"Cookie": cookies},
        ) as socket:
            socket.send(json.dumps({"watch": [place.rpartition("/")[2]]}))
            while json.loads(socket.recv(timeout=60))["state"] != "sent":
                pass
        text = front.sink.to("alice@example.org")[0].part("plain")
        assert f"{front.url}/confirm/" in text
        assert alice.post(link_of(text)).headers["Location"] == "/post/account"
        assert "alice@example.org" in alice.get("/post/account").text.replace("<wbr>", "")
        mail = {"from": "hello@mailroom.example", "to": ["bob@example.org"], "subject": "Hello", "text": "x"}
        key = {"Authorization": f"Bearer {key_for(front.environment)}"}
        sent = alice.post("/post/api/v1/emails", json=mail, headers=key)
        assert sent.status_code == 200, sent.text
        assert sent.json()["watch_url"].startswith(f"{front.url}/embed/")
        assert alice.get(sent.json()["watch_url"]).status_code == 200
    wait_for(lambda: front.sink.to("bob@example.org"))
    assert "/confirm/***" in front.web.text, "no token is in the log"
    assert link_of(text).rpartition("/")[2] not in front.web.text


def link_of(text: str) -> str:
    """Return the path of the link in a mail, the site's path in front."""
    return text[text.index("/post/confirm/") :].split(maxsplit=1)[0]


@pytest.mark.skipif(CHROMIUM is None or not shutil.which("nginx", path="/usr/sbin"), reason="no Chromium here")
def test_a_browser_goes_the_whole_way_and_finds_every_file(front: Front) -> None:
    failed: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        people = People(chromium, front.url.removesuffix("post"))
        page = people.page(ignore_https_errors=True)
        page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
        page.goto("/post/")
        page.get_by_role("link", name="Sign up").first.click()
        page.wait_for_url("**/post/sign-up")
        fill_in(page)
        page.wait_for_url("**/post/mails/*")
        expect_state(page, "sent")
        assert page.evaluate("document.querySelector('link[rel=icon]').href").startswith(f"{front.url}/static/")
        link = link_of(mail_to(front.sink, "carol@example.org"))
        page.goto(link)
        page.get_by_role("main").get_by_role("button").first.click()
        expect_signed_in(page, "carol@example.org")
        assert {cookie["path"] for cookie in page.context.cookies()} == {"/post"}
        for name in ("Sessions", "Data", "Profile"):
            page.goto("/post/account/security")
            page.get_by_role("link", name=name, exact=True).first.click()
        page.get_by_role("button", name="Sign out").first.click()
        page.wait_for_url("**/post/")
        assert page.context.cookies() == []
        people.go_home()
        chromium.close()
    assert (people.complaints, failed) == ([], [])


def fill_in(page: Page) -> None:
    """Fill in the form to sign up."""
    page.get_by_label("Mail address").fill("carol@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
