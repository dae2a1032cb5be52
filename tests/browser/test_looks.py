"""Every page at the width of a phone and of a desk, in light and dark, with addresses as long as they get."""

from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.browser.people import PASSWORD, People, expect_signed_in, expect_state, mail_to, sign_up
from tests.journeys.conftest import link_in
from tests.sink import Fault
from tests.stack import Stack

WIDTHS = (390, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LONG_NAME = "somebody-with-a-great-deal-to-say-about-their-work-at-home"
READABLE = 4.5
"""Contrast of text on what is behind it (WCAG 2.2, 1.4.3)."""

CONTRASTS = """elements => elements.map(element => {
        const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        const paint = colours => {
            canvas.clearRect(0, 0, 1, 1);
            for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
        };
        const light = rgb => rgb.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
            .reduce((sum, v, n) => sum + v * [.2126, .7152, .0722][n], 0);
        const behind = [];
        for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
        const ground = light(paint(behind)), ink = light(paint([...behind, getComputedStyle(element).color]));
        const ratio = (Math.max(ground, ink) + .05) / (Math.min(ground, ink) + .05);
        return [element.innerText.trim().slice(0, 40), ratio];
    })"""

LONGER = """() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    window.asItWas = [];
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
        if (text.parentElement.closest("script, style, template, noscript, svg, option, time")) continue;
        if (text.parentElement.closest("samp, code, pre, bdi, [data-address], .address")) continue;
        window.asItWas.push([text, text.data]);
        text.data = text.data.replace(/\\p{L}{3,}/gu,
            word => word + word.slice(0, Math.ceil(word.length * .4)).toLowerCase());
    }
}"""
"""Makes each word of ours 40 % longer, as German does; what people typed, and code, stays."""
AS_IT_WAS = """() => {
    for (const [text, was] of window.asItWas) text.data = was;
    document.documentElement.dir = "ltr";
}"""

SETTLED = """() => Promise.allSettled(
    document.getAnimations().filter(a => a instanceof CSSTransition).map(a => a.finished))"""


def fits(page: Page) -> None:
    """The page is no wider than the window, and nothing sticks out."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    wide, culprits = page.evaluate(
        """width => [document.scrollingElement.scrollWidth,
            [...document.querySelectorAll("main *, header *, footer *")]
                .filter(e => e.checkVisibility())
                .filter(e => (({left, right}) => right > width + 1 || left < -1)(e.getBoundingClientRect()))
                .filter(e => !e.closest(".for-ears, .skip, .rows, .scrolls, iframe"))
                .map(e => e.outerHTML.slice(0, 80))]""",
        width,
    )
    assert wide <= width and not culprits, (page.url, wide, culprits)


def readable(texts: Locator) -> None:
    """Every one of these texts stands out from what is behind it."""
    found: list[tuple[str, float]] = texts.evaluate_all(CONTRASTS)
    assert found
    for words, ratio in found:
        assert ratio >= READABLE, f"{words!r} has a contrast of {ratio:.2f}"


def accessible(page: Page) -> None:
    """Axe finds nothing: names, roles, headings, contrast, and what else of WCAG a machine can see."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
    assert not found.violations_count, f"{page.url}: {found.generate_report()}"


def fits_in_any_language(page: Page) -> None:
    """The page has room for a language whose words are 40 % longer, and for one that is written from the right."""
    page.evaluate(LONGER)
    fits(page)
    page.evaluate("document.documentElement.dir = 'rtl'")
    fits(page)
    page.evaluate(AS_IT_WAS)


def look(page: Page, widths: tuple[int, ...] = WIDTHS) -> None:
    """Look at the page as it stands: at each width, in light and dark; and as it would be in other languages."""
    page.wait_for_load_state()  # after a click
    for width in widths:
        page.set_viewport_size({"width": width, "height": 844})
        fits(page)
        fits_in_any_language(page)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.evaluate(SETTLED)
        readable(page.locator("main :is(h1, h2, p, label, .hint, .label, .button, .plain, a):visible"))
    accessible(page)  # once: what a scheme changes, the colours, `readable` has looked at


def test_every_page_of_the_journey_fits_and_can_be_read(mailroom: Stack, people: People) -> None:
    people.expected = "status of (422|404|400|410)"  # pages asked for on purpose
    page = people.page()
    email = f"{LONG_NAME}@{'long-' * 9}name.{'example-' * 5}example.org"
    for path in (
        "/",
        "/sign-up",
        "/sign-in",
        "/confirm",
        "/new-password",
        "/nothing-here",
        "/confirm/not-one-of-ours",
    ):
        page.goto(path)
        look(page)
    page.goto("/api/docs")
    page.locator("#post_sendEmail > summary").click()
    page.locator("#get_getEmail > summary").click()
    look(page)
    page.goto("/sign-up")
    page.get_by_label("Mail address").fill(email)
    page.get_by_label("Password", exact=True).fill("password")
    page.get_by_role("button", name="Sign up").click()
    expect(page.locator(".message")).to_be_visible()
    look(page)
    ticket = sign_up(page, email)
    expect_state(page, "sent")
    look(page)
    page.get_by_label("Code from the mail").fill("BBBB-2222")
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.locator(".message")).to_be_visible()
    look(page)
    page.goto(link_in(mail_to(mailroom.sink, email)))
    look(page)
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, email)
    look(page)
    page.goto(f"/mails/{ticket}")
    look(page)


def test_pages_of_an_account_fit_and_can_be_read(mailroom: Stack, people: People) -> None:
    people.expected = "status of 422"
    page = people.page()
    sign_up(page, "settled@example.org")
    page.goto(link_in(mail_to(mailroom.sink, "settled@example.org")))
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, "settled@example.org")
    settings = ("profile", "security", "sessions", "notifications", "data", "password", "address")
    for path in ("/account", *(f"/account/{name}" for name in settings), "/tasks"):
        page.goto(path)
        look(page)


def test_pages_of_the_desk_fit_and_can_be_read(mailroom: Stack, people: People) -> None:
    people.expected = "status of 422"
    page = people.page()
    sign_up(page, "olga-looks@example.org")
    page.goto(link_in(mail_to(mailroom.sink, "olga-looks@example.org")))
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, "olga-looks@example.org")
    mailroom.run(
        "update accounts set is_operator = true, role = 'operator' where email = 'olga-looks@example.org'"
    )
    page.goto("/desk/keys")
    look(page)
    for name in ("Shop", "W" * 50):
        page.get_by_label("Name").fill(name)
        page.get_by_label("Domains").fill(f"shop.example {'long-' * 9}name.{'example-' * 5}example.org")
        page.get_by_label("Origins").fill("no origin")
        page.get_by_role("button", name="Make the key").click()
        expect(page.locator(".message")).to_be_visible()
        look(page)
        page.get_by_label("Origins").fill(f"https://{'long-' * 9}name.example.org")
        page.get_by_label("Mails an hour").fill("1000")
        page.get_by_role("button", name="Make the key").click()
        expect(page.locator(".secret")).to_contain_text("mr_")
        look(page)
        page.get_by_role("link", name="I have copied it").click()
    page.get_by_text("Revoke").first.click()
    look(page)
    page.get_by_role("button", name="Yes, revoke it for good").first.click()
    for path in ("/desk/keys?revoked=1", "/desk/audit", "/desk/test-mail"):
        page.goto(path)
        look(page)
    page.get_by_role("button", name="Send a test mail").click()
    expect_state(page, "sent")
    mailroom.run("update accounts set is_operator = false, role = 'viewer' where email = 'olga-looks@example.org'")
    page.goto("/desk/audit")
    look(page)


def test_pages_of_keys_and_webhooks_fit_and_can_be_read(mailroom: Stack, people: People) -> None:
    page = people.page()
    sign_up(page, "oscar@example.org")
    page.goto(link_in(mail_to(mailroom.sink, "oscar@example.org")))
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, "oscar@example.org")
    mailroom.run("update accounts set is_operator = true, role = 'operator' where email = 'oscar@example.org'")
    mailroom.run(
        "insert into api_keys (id, name, start, hash, scope) values"
        " (gen_random_uuid(), 'A shop', 'mr_abcdefg', 'a shop', 'sending')"
    )
    mailroom.run(
        "insert into api_key_refusals (key_id, door, request, status, name, field) select id, 'http',"
        " 'POST /api/v1/emails', 422, 'validation_error', 'attachments.0.content_type' from api_keys"
    )
    page.goto("/desk/keys")
    page.get_by_role("link", name="A shop").click()
    expect(page.get_by_text("422 validation_error").first).to_be_visible()
    look(page)
    mailroom.run(
        "with hook as (insert into webhook_endpoints (id, url, events, secret, failing_since) values"
        " (gen_random_uuid(), %s, '{email.sent,email.bounced}', '', now()) returning id)"
        " insert into webhook_deliveries"
        " (id, endpoint_id, subject_id, type, payload, state, attempts, next_at, status)"
        " select gen_random_uuid(), id, gen_random_uuid(), 'email.sent', '{}', state, 1, null, 500"
        " from hook, unnest('{delivered,failed}'::text[]) state",
        (f"https://shop.example/{'unbroken' * 20}",),
    )
    page.goto("/desk/webhooks")
    look(page)
    page.get_by_role("link", name="shop.example").click()
    page.get_by_role("button", name="Send again").first.click()
    expect(page.get_by_role("button", name="Send again")).to_have_count(1)
    look(page)


def test_pages_of_mails_in_trouble_fit_a_phone(mailroom: Stack, people: People) -> None:
    mailroom.sink.faults += [
        Fault("rcpt", reply="550 5.7.1 " + "unbroken" * 30, recipient="refused@example.org"),
        Fault("rcpt", reply="451 4.7.1 later", recipient="deferred@example.org"),
    ]
    page = people.page()
    for email, state in (("refused@example.org", "failed"), ("deferred@example.org", "retrying")):
        sign_up(page, email)
        expect_state(page, state)
        look(page)
        page.reload()
        look(page)


def test_with_large_text_a_phone_shows_everything(mailroom: Stack, people: People) -> None:
    """Text at 200 % (WCAG 2.2, 1.4.4), which is a page of half the width."""
    page = people.page(viewport={"width": 320, "height": 640})
    page.goto("/")
    fits(page)
    sign_up(page, f"{LONG_NAME}@example.com", PASSWORD)
    expect_state(page, "sent")
    fits(page)
