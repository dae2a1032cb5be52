"""People with real browsers, and what their browsers complain of."""

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.sink import Fault, Sink, wait_for

PASSWORD = "seven quiet herons by the lake"
DIARY = Path(__file__).with_name("diary.js").read_text()
LEFT_EARLY = "WebSocket is closed before the connection is established"
"""What Chromium notes when a person leaves a page that has just been opened."""
expect.set_options(timeout=20_000)


class People:
    """Makes browsers, each as fresh as a new device, and keeps what their consoles say."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._contexts: list[BrowserContext] = []
        self.heard: list[str] = []
        self.expected: str | None = None
        """A pattern of complaints that belong to the test: its server is gone, say."""

    def page(self, **options: Any) -> Page:
        """Return a page in a browser of its own; `options` are those of Playwright's contexts."""
        context = self._browser.new_context(base_url=self._url, **{"locale": "en-GB", **options})
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        if options.get("java_script_enabled", True):
            context.add_init_script(DIARY)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.heard.append(f"uncaught: {error.error}"))
        return context.new_page()

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings of every console, uncaught errors and broken content policies."""
        expected = "|".join(filter(None, (LEFT_EARLY, self.expected)))
        return [words for words in self.heard if not re.search(expected, words)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.heard.append(f"{message.type}: {message.text}")

    def go_home(self) -> None:
        """Close every browser."""
        for context in self._contexts:
            context.close()


def sign_up(page: Page, email: str, password: str = PASSWORD) -> str:
    """Sign up through the form; return the ticket."""
    page.goto("/sign-up")
    page.get_by_label("Mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_url("**/mails/*")
    return page.url.rpartition("/")[2]


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    """Sign in through the form."""
    page.goto("/sign-in")
    page.get_by_label("Mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()


def expect_state(page: Page, state: str, seconds: float = 20) -> None:
    """Wait until the page says the mail is in this state."""
    expect(page.locator("mail-progress")).to_have_attribute("data-state", state, timeout=seconds * 1000)


def expect_signed_in(page: Page, email: str) -> None:
    """Wait until the page is the account of `email`."""
    expect(page).to_have_url(re.compile(r"/account(\?|$)"))
    expect(page.get_by_role("heading", level=1)).to_have_text(email)


def diary(page: Page) -> list[dict[str, str | None]]:
    """Return what the page has shown of the mail since it was opened: its state and the step it was at."""
    told: list[dict[str, str | None]] = page.evaluate("window.diary")
    return told


def mail_to(sink: Sink, email: str) -> str:
    """Return the text of the newest mail to this address, once it is there."""
    wait_for(lambda: sink.to(email), 20, f"a mail to {email}")
    return sink.to(email)[-1].part("plain")


def slow_down(sink: Sink, seconds: float) -> None:
    """Have the mail server take its time at each stage, so that a person can see each."""
    sink.faults += [Fault(stage, delay=seconds, keep=True) for stage in ("connect", "rcpt", "dot")]
