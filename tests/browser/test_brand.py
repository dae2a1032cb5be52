"""Under an operator's own name, with a long name and a colour that cannot be read as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.people import People, expect_signed_in, expect_state, mail_to, sign_up
from tests.browser.test_looks import look
from tests.journeys.conftest import link_in
from tests.pictures import CIRCLE, png
from tests.stack import Stack

NAME = "Vereinigte Postämter am Niederrhein e.V."
OWN = {
    "PRODUCT_NAME": NAME,
    "ACCENT_COLOR": "ffd400",
    "SUPPORT_ADDRESS": "hilfe@postamt.example",
    "PRIVACY_URL": "https://postamt.example/datenschutz",
    "IMPRINT_URL": "https://postamt.example/impressum",
}
GROUND = "element => getComputedStyle(element).backgroundColor"
LIGHT, DARK = "rgb(245, 241, 232)", "rgb(19, 22, 28)"


@contextmanager
def renamed(mailroom: Stack, folder: Path) -> Iterator[None]:
    """Have web and worker run with these settings for the length of the block."""
    before = dict(mailroom.environment)
    (folder / "logo.svg").write_text(CIRCLE)
    (folder / "logo.png").write_bytes(png())
    mailroom.end()
    mailroom.environment |= {**OWN, "LOGO": str(folder / "logo.svg")}
    try:
        mailroom.reset()
        yield
    finally:
        mailroom.end()
        mailroom.environment = before


def ground(page: Page, what: str, scheme: str) -> str:
    frame = page.frame_locator(f'iframe[src="/desk/branding/{what}?scheme={scheme}"]')
    found: str = frame.locator("body").evaluate(GROUND)
    return found


def test_pages_and_mails_bear_another_name_and_can_be_read(
    mailroom: Stack, people: People, tmp_path: Path
) -> None:
    with renamed(mailroom, tmp_path):
        people.expected = "Blocked script execution"  # the test's own, in frames that run nothing
        page = people.page()
        page.goto("/")
        look(page)
        expect(page.locator(".wordmark")).to_have_text(NAME)
        expect(page.locator(".wordmark img")).to_have_js_property("complete", value=True)
        assert page.locator(".wordmark img").evaluate("image => image.naturalWidth") > 0
        sign_up(page, "olga@postamt.example")
        expect_state(page, "sent")
        expect(page).to_have_title(f"Accepted · {NAME}")
        look(page)
        sent = mail_to(mailroom.sink, "olga@postamt.example")
        assert f"Welcome to {NAME}" in " ".join(sent.split())
        page.goto(link_in(sent))
        page.get_by_role("button", name="Confirm this address").click()
        expect_signed_in(page, "olga@postamt.example")
        mailroom.run(
            "update accounts set is_operator = true, role = 'operator' where email = 'olga@postamt.example'"
        )
        page.goto("/desk/branding")
        expect(page.get_by_text("on light pages #ffd400 cannot be read")).to_be_visible()
        for preferred in ("light", "dark"):
            page.emulate_media(color_scheme="light" if preferred == "light" else "dark")
            assert (ground(page, "page", "light"), ground(page, "page", "dark")) == (LIGHT, DARK)
            assert ground(page, "mail", "dark") == "rgb(20, 23, 26)"
        frame = page.frame_locator('iframe[src="/desk/branding/mail?scheme=light"]')
        assert frame.locator('img[src^="data:image/png"]').evaluate("image => image.naturalWidth") == 64
        look(page)
