"""The journey in German and in Chinese: pages, what comes live, the mail, the settings; and no English left."""

import pytest
from playwright.sync_api import Page, expect

from mailroom.i18n import extraction
from mailroom.i18n.languages import name_of, speaking
from mailroom.i18n.messages import gettext
from tests.browser.people import PASSWORD, People, expect_signed_in, expect_state, mail_to
from tests.browser.test_looks import fits
from tests.journeys.conftest import link_in
from tests.sink import Fault
from tests.stack import Stack

TEXTS = """() => [...document.querySelectorAll("body *")]
    .filter(e => !e.closest("script, style, template, select, [lang]:not(html), [data-address], .address, samp"))
    .flatMap(e => [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.replace(/\\s+/g, " ").trim()))
    .filter(Boolean)"""


def english(language: str) -> set[str]:
    """Every sentence that is another one in `language`."""
    file = next(one for one in extraction.files() if one.parts[-3] == language.replace("-", "_"))
    return {
        str(message.id)
        for message in extraction.read(file)
        if message.id and message.string not in {"", message.id}
    }


def look(page: Page, language: str, left_over: set[str]) -> None:
    """The page is in this language, wholly, and fits a phone and a desk."""
    expect(page.locator("html")).to_have_attribute("lang", language)
    assert left_over & set(page.evaluate(TEXTS)) == set(), page.url
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        fits(page)


@pytest.mark.parametrize(("language", "locale"), [("de", "de-AT"), ("zh-Hans", "zh-CN")])
def test_the_whole_journey_in_another_language(
    mailroom: Stack, people: People, language: str, locale: str
) -> None:
    people.expected = "status of (404|422)"

    def said(message: str) -> str:
        with speaking(language):
            return gettext(message)

    left_over = english(language)
    page, email = people.page(locale=locale, timezone_id="UTC"), f"{locale.lower()}@example.org"
    for path in ("/", "/sign-in", "/new-password", "/nowhere"):
        page.goto(path)
        look(page, language, left_over)
    page.goto("/sign-up")
    page.get_by_label(said("Mail address")).fill(email)
    page.get_by_label(said("Password"), exact=True).fill("password")
    page.get_by_role("button", name=said("Sign up")).click()
    expect(page.locator(".message")).to_be_visible()
    look(page, language, left_over)
    mailroom.sink.faults.append(Fault("dot", delay=1.5, times=1, keep=True))
    page.get_by_label(said("Password"), exact=True).fill(PASSWORD)
    page.get_by_role("button", name=said("Sign up")).click()
    page.wait_for_url("**/mails/*")
    expect_state(page, "sent")
    expect(page.get_by_role("heading", name=said("Accepted: look in your inbox"))).to_be_visible()
    look(page, language, left_over)

    text = mail_to(mailroom.sink, email)
    html = mailroom.sink.to(email)[-1].part("html")
    assert f'<html lang="{language}"' in html and said("Please confirm your address") in html
    page.goto(link_in(text))
    look(page, language, left_over)
    page.get_by_role("button", name=said("Confirm this address")).click()
    expect_signed_in(page, email)
    settings = ("profile", "security", "sessions", "notifications", "data", "password", "address")
    for path in ("/account", *(f"/account/{name}" for name in settings), "/tasks"):
        page.goto(path)
        look(page, language, left_over)
    page.goto("/account/data")
    page.get_by_role("button", name=said("Export my data")).click()
    page.wait_for_url("**/tasks/*")
    expect(page.get_by_text(said("Done")).first).to_be_visible()
    look(page, language, left_over)

    # Another language at the foot of the page, for this account in any browser.
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.goto("/account/profile")
    page.locator("#language").select_option(label=name_of(language))
    page.get_by_role("button", name="Save changes").click()
    look(page, language, left_over)
