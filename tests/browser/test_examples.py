"""The example shops: each sends through Mailroom, and shows on a page of another origin where the mail is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from mailroom.ops.embedded.ports import free_port
from tests import processes
from tests.conftest import ROOT
from tests.journeys.conftest import key_for
from tests.sink import Fault, wait_for
from tests.stack import Stack

SHOPS = {
    "fastapi": ("fastapi_shop", ["uvicorn", "app:app", "--port", "{port}"]),
    "flask": ("flask_shop", ["flask", "--app", "app", "run", "--port", "{port}"]),
    "django": ("django_shop", ["app", "runserver", "--noreload", "{port}"]),
}


@contextmanager
def running_shop(name: str, mailroom: Stack, folder: Path) -> Iterator[str]:
    """Run a shop with a key of its own; yield its address."""
    place, command = SHOPS[name]
    port = free_port()
    url = f"http://localhost:{port}"
    key = key_for(mailroom.environment, "--scope", "sending", "--origin", url)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "examples" / place),
        "MAILROOM_URL": mailroom.url,
        "MAILROOM_KEY": key,
        "SHOP_FROM": "Shop <shop@mailroom.example>",
    }
    told = [part.format(port=port) for part in command]
    with processes.running(f"shop-{name}", told, environment, folder) as shop:
        wait_for(lambda: answers(url), 30, shop.text)
        yield url


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@pytest.fixture
def shopper(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    page = context.new_page()
    yield page
    context.close()


def order(page: Page, shop: str, address: str) -> None:
    page.goto(shop)
    page.get_by_label("Address").fill(address)
    page.get_by_role("button", name="Order").click()


@pytest.mark.parametrize("name", list(SHOPS))
def test_a_shop_shows_its_customer_where_the_mail_is(
    name: str, mailroom: Stack, shopper: Page, tmp_path: Path
) -> None:
    errors: list[str] = []
    shopper.on("pageerror", lambda error: errors.append(str(error)))
    with running_shop(name, mailroom, tmp_path) as shop:
        order(shopper, shop, f"{name}@example.org")
        expect(shopper.locator("mailroom-progress [part=word]")).to_have_text("Accepted", timeout=15_000)
        assert [mail.recipient for mail in mailroom.sink.to(f"{name}@example.org")] == [f"{name}@example.org"]
        assert shopper.context.cookies(mailroom.url) == [] or name == "django", "Mailroom sets no cookie there"
        found = Axe().run(shopper, context="mailroom-progress")
        assert found.violations_count == 0, found.generate_report()
    assert errors == []


def test_the_element_tells_of_a_refusal_and_works_where_sockets_are_blocked(
    mailroom: Stack, shopper: Page, tmp_path: Path
) -> None:
    blocked = "constructor() { setTimeout(() => this.onclose({code: 1006})); }"
    shopper.add_init_script(f"window.WebSocket = class {{ static OPEN = 1; {blocked} }}")
    mailroom.sink.faults.append(Fault("rcpt", reply="550 5.1.1 no such user", recipient="nobody@example.org"))
    with running_shop("fastapi", mailroom, tmp_path) as shop:
        order(shopper, shop, "nobody@example.org")
        expect(shopper.locator("mailroom-progress [part=word]")).to_have_text("Failed", timeout=20_000)
        expect(shopper.locator("mailroom-progress [part=bar]")).to_have_attribute("aria-valuetext", "Failed")


def test_a_page_of_another_origin_shows_nothing_of_it(mailroom: Stack, shopper: Page, tmp_path: Path) -> None:
    with running_shop("fastapi", mailroom, tmp_path) as shop:
        order(shopper, shop.replace("localhost", "127.0.0.1"), "alice@example.org")
        words = shopper.locator("mailroom-progress [part=word]")
        expect(words).to_have_text("This page may not show it", timeout=15_000)
