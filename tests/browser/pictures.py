"""Takes the README's pictures, in light and dark, of real processes: `make pictures`.

With a folder as its argument it takes there, at the widths of a phone and of a desk, what an operator's own name,
logo and colour change.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from mailroom.ops.embedded.postgres import running_postgres
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.people import expect_signed_in, expect_state, mail_to, sign_up
from tests.conftest import ROOT, migrate
from tests.journeys.conftest import key_for, link_in
from tests.pictures import CIRCLE, png
from tests.stack import Stack, running_stack

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
IMAGES = ROOT / "docs" / "images"
OWN = {
    "PRODUCT_NAME": "Acme Post",
    "ACCENT_COLOR": "7a1fa2",
    "SUPPORT_ADDRESS": "help@acme.example",
    "PRIVACY_URL": "https://acme.example/privacy",
    "IMPRINT_URL": "https://acme.example/imprint",
}


@contextmanager
def stack(folder: Path, **own: str) -> Iterator[tuple[Stack, Browser]]:
    """Run Mailroom with these settings, and a browser."""
    with running_postgres(folder / "postgres") as postgres:
        migrate(postgres.url)
        with running_stack(postgres, folder) as mailroom, sync_playwright() as playwright:
            mailroom.environment |= own
            del mailroom.environment["MAILROOM_INBOX"]
            mailroom.reset()
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            yield mailroom, browser
            browser.close()


def readme(folder: Path) -> None:
    """The page of a mail that the mail server has accepted."""
    with stack(folder) as (mailroom, browser):
        context = browser.new_context(
            base_url=mailroom.url,
            locale="en-GB",
            viewport={"width": 1000, "height": 920},
            device_scale_factor=1.25,
        )
        page = context.new_page()
        sign_up(page, "alice@example.com")
        expect_state(page, "sent")
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(500)
            page.screenshot(path=IMAGES / f"live-{scheme}.png")


def branded(folder: Path, into: Path) -> None:
    """Home, sign-up, a mail's page, an operator's preview and the mail itself under another name."""
    (folder / "logo.svg").write_text(CIRCLE)
    (folder / "logo.png").write_bytes(png(72, 72))
    with stack(folder, LOGO=str(folder / "logo.svg"), **OWN) as (mailroom, browser):
        page = browser.new_context(base_url=mailroom.url).new_page()
        for name in ("home", "sign-up"):
            page.goto("/" if name == "home" else f"/{name}")
            _take(page, into, name)
        sign_up(page, "olga@acme.example")
        expect_state(page, "sent")
        _take(page, into, "mail-page")
        page.goto(link_in(mail_to(mailroom.sink, "olga@acme.example")))
        page.get_by_role("button", name="Confirm this address").click()
        expect_signed_in(page, "olga@acme.example")
        mailroom.run("update accounts set is_operator = true, role = 'operator'")
        page.goto("/desk/branding")
        _take(page, into, "branding")
        for scheme in SCHEMES:
            page.goto("/desk/branding")
            page.locator("iframe").last.scroll_into_view_if_needed()
            page.set_viewport_size({"width": 1280, "height": 1000})
            page.wait_for_timeout(400)
            page.screenshot(path=into / f"branding-mails-{scheme}.png")
            page.goto(f"/desk/branding/mail?scheme={scheme}")
            page.screenshot(path=into / f"mail-{scheme}.png")
        _embed(mailroom, page, into)


def _embed(mailroom: Stack, page: Page, into: Path) -> None:
    """What a frame in another program's page shows of a mail that still waits: no worker runs."""
    key = key_for(mailroom.environment, "--scope", "sending")
    mailroom.kill_worker()
    mail = {
        "from": "Shop <shop@mailroom.example>",
        "to": "bob@example.org",
        "subject": "Your order",
        "text": "Hello",
    }
    sent = httpx.post(f"{mailroom.url}/api/v1/emails", json=mail, headers={"Authorization": f"Bearer {key}"})
    page.set_viewport_size({"width": 390, "height": 120})
    page.goto(sent.json()["watch_url"])
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(800)
        page.screenshot(path=into / f"embed-{scheme}.png")


def _take(page: Page, into: Path, name: str) -> None:
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(400)
            page.screenshot(path=into / f"{name}-{width}-{scheme}.png", full_page=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        if len(sys.argv) > 1:
            branded(Path(temporary), Path(sys.argv[1]))
        else:
            readme(Path(temporary))
